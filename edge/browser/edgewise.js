/*
Edgewise in a page: fills placements, sees what is seen, tells what is clicked. No dependency, no inline style, no eval.

    <script src="https://edge.shop.example/edgewise.js" defer></script>
    <div data-edgewise="home_hero">what everybody sees where no node answers</div>

Attributes of the script element, all optional:
  data-node="https://…"       the edge node, where it is not where the script came from
  data-key="WRITE_KEY"        needed unless the page's origin is on the site's list (`site.yaml`, `origins`)
  data-consent="personalisation=granted, analytics=denied"   what is known when the page is written
  data-timeout="1000"         ms; what has not been answered by then stays as it is, so that nothing moves under a reader
  data-manual                 fills nothing until `edgewise.refresh()`
  data-debug                  loads the overlay of /edgewise-debug.js, as ?edgewise_debug in the address does

Attributes of a placement:
  data-edgewise="NAME"        filled with what is decided for NAME; what it holds before is its fallback
  data-edgewise-count="3"     how many items at most
  data-edgewise-as="Content"  on it or around it: clicks are told as `Content Clicked`, `Product Clicked`; else `Promotion`
  data-edgewise-refresh       on it or around it: after a click all placements are decided anew, without a reload
  data-edgewise-state         set by the script, for style sheets: `waiting`, then `filled`, `empty` (on purpose), `kept`
                              (the page's own content is what was decided) or `failed` (nothing was decided)
A fragment that a proxy has put into the page (`data-edgewise-placement` around items with `data-edgewise-item`) is taken
over as it is: watched, and decided anew with the others. Inside an item, `data-edgewise-click` marks what is clicked
beside `a` and `button`. Give a placement its height by your style sheet (`min-height`), and nothing will shift.

Calls. Where the script may not have come yet: `(window.edgewise = window.edgewise || []).push(["track", …])`.
  edgewise.track(event, properties)   one event; sent within half a second, or with the next question, before it is decided
  edgewise.refresh()                  decide all placements anew; resolves with the answer, undefined where none came
  edgewise.decide([{name, count}], options)   only ask: resolves with the answer of `POST /v1/decide`
  edgewise.consent({marketing: "denied"})     what the visitor has said now: granted, denied or pending; decides anew
  edgewise.dial(0..3)                 0 nothing personal, 1 this page, 2 this session, 3 all; decides anew. Without a
                                      number: what holds. At 0 no event is sent, nor what waits
  edgewise.debug()                    load the overlay
  edgewise.attributes                 an object; goes along as `context.attributes`
  edgewise.options, edgewise.headers  objects; go along with each question, over what the script says itself
The event `edgewise` on `document` has the answer as its `detail`, after the placements have been filled.
`performance.getEntriesByName("edgewise", "measure")` says how long after the script's start that was.

An item counts as seen after half of it (or as much as half of the window) was in sight for a second. Events wait in
memory only: the latest 50, as far as they fit into 48 kB. Visitors are told apart by an id that is kept only once an answer
has said that they may be known again, for as long as dial and storage allow: else it lasts as long as the page.
*/
(() => {
  "use strict";
  const doc = document;
  const script = doc.currentScript || doc.querySelector("script[src*='/edgewise.js']");
  const said = script.dataset;
  const base = said.node || script.src.replace(/\/edgewise\.js.*/, "");
  const early = window.edgewise || [];
  const random = () => crypto.getRandomValues(new Uint32Array(4)).join("");
  const now = () => new Date().toISOString();
  performance.mark("edgewise");

  // What outlives the page, as far as the browser lets it; "" and false remove.
  const kept = (area, key, value) => {
    try {
      const storage = window[area + "Storage"];
      if (value) storage[key] = value;
      else if (value == "") delete storage[key];
      return storage[key];
    } catch {}
  };
  const DIAL = "edgewise_dial";
  const ID = "edgewise_id";
  let limit = +(kept("local", DIAL) || 3);
  let holds = limit;
  let visitor = limit > 1 && kept(limit > 2 ? "local" : "session", ID) || random();
  const remember = (may) => {
    kept("local", ID, may && holds > 2 && visitor);
    kept("session", ID, may && holds < 3 && visitor);
  };
  const allowed = Object.fromEntries(new URLSearchParams(said.consent?.replace(/, */g, "&")));
  // What an id depends on: the dial, and whether personalisation is neither denied nor pending.
  const will = () => limit + /ni|pe/.exec(allowed.personalisation);
  let stated;
  let isProven;

  const call = async (path, message, more) => {
    const answer = await fetch(base + path, {
      method: "POST", body: JSON.stringify(message), credentials: "include", keepalive: true, ...more,
    });
    if (!answer.ok) throw answer.status;
    return answer.json();
  };
  // At once, for the page may be left; again where he has said something since, for nobody knows which one was heard last.
  const state = async () => {
    const mine = stated;
    if (!isProven || !mine) return;
    await call("/v1/preferences", mine, { method: "PUT" }).catch(() => {});
    if (mine != stated) await state();
  };

  // --- events ---
  let queue = [];
  let wait = 500;
  let timer;
  const keep = (more) => {
    queue = more.concat(queue);
    while (queue[50]) queue.shift();
    // One that is too large goes itself, and takes no others along.
    while (new Blob([JSON.stringify(queue)]).size > 48e3) queue.pop();
    timer ||= setTimeout(flush, wait);
  };
  const place = () => ({ path: location.pathname, url: location.href, referrer: doc.referrer, title: doc.title });
  const note = (event, properties) => {
    const preferences = {};
    for (const purpose in allowed) preferences[purpose] = allowed[purpose] == "granted";
    // At 0 a node would keep nothing of it.
    if (limit) keep(queue.splice(0).concat({
      type: "track", event, properties, messageId: random(), anonymousId: visitor, timestamp: now(),
      context: { page: place(), consent: { categoryPreferences: preferences } },
    }));
  };
  // `isLeaving`: the page may be gone in a moment.
  const flush = async (isLeaving) => {
    clearTimeout(timer);
    timer = 0;
    const sent = queue.splice(0);
    if (!sent[0]) return;
    const message = { batch: sent, sentAt: now(), writeKey: said.key };
    if (isLeaving) navigator.sendBeacon(base + "/v1/batch", JSON.stringify(message)) || keep(sent);
    else try {
      await call("/v1/batch", message);
      wait = 500;
    } catch (trouble) {
      wait = Math.min(2 * wait, 6e4);
      // What was refused would be refused again; what was not heard is said again.
      if (!(trouble < 500) || trouble == 429) keep(sent);
    }
  };

  // --- what is seen and clicked ---
  const unseen = new Map();
  const pause = (element) => {
    clearTimeout(unseen.get(element));
    unseen.set(element, 0);
  };
  const eye = new IntersectionObserver((entries) => entries.forEach((entry) => {
    const element = entry.target;
    if (!element.isConnected) unseen.delete(element);
    else if (doc.hidden || entry.intersectionRatio < .5 && entry.intersectionRect.height < innerHeight / 2) pause(element);
    else if (!unseen.get(element)) unseen.set(element, setTimeout(see, 1e3, element));
  }), { threshold: [0, .2, .4, .5] });
  const tell = (element, event) => {
    const shown = element.closest("[data-edgewise-placement]").dataset;
    const itemId = element.dataset.edgewiseItem;
    note(event, {
      decisionId: shown.edgewiseDecision, placement: shown.edgewisePlacement, itemId, promotion_id: itemId,
    });
  };
  const see = (element) => {
    eye.unobserve(element);
    pause(element);
    unseen.delete(element);
    tell(element, "Promotion Viewed");
  };
  const watch = () => {
    for (const shown of all("[data-edgewise-deferred]")) {
      delete shown.dataset.edgewiseDeferred;
      const parts = all("[data-edgewise-item]", shown);
      // Where nothing was chosen, that nothing is there is what is seen.
      for (const part of parts[0] ? parts : [shown]) unseen.set(part, 0) && eye.observe(part);
    }
  };
  const click = (happened) => {
    const touched = happened.target;
    if (happened.button > 1) return;
    const part = touched.closest("[data-edgewise-item]");
    if (!part?.closest("[data-edgewise-decision]") || !touched.closest("a,button,[data-edgewise-click]")) return;
    if (unseen.has(part)) see(part);
    tell(part, (part.closest("[data-edgewise-as]")?.dataset.edgewiseAs || "Promotion") + " Clicked");
    part.closest("[data-edgewise-refresh]") ? renew() : flush();
  };

  // --- placements ---
  const ask = async (wanted, more) => {
    const sent = queue.splice(0);
    const asked = will();
    try {
      const answer = await call("/v1/decide", {
        anonymousId: visitor, placements: wanted, events: sent, consent: allowed,
        context: {
          page: place(),
          device: { type: innerWidth < 600 ? "mobile" : innerWidth < 1e3 ? "tablet" : "desktop" },
          locale: doc.documentElement.lang || navigator.language,
          // The first `Intl` of a page loads its data: 16 ms of the visitor's.
          timezone: window.Temporal?.Now.timeZoneId() || Intl.DateTimeFormat().resolvedOptions().timeZone,
          attributes: api.attributes,
        },
        options: { dial: limit, render: true, deferActivation: true, deadlineMs: 50, ...api.options, ...more },
      }, {
        headers: { ...said.key && { authorization: "Basic " + btoa(said.key + ":") }, ...api.headers },
        signal: AbortSignal.timeout(said.timeout || 1e3),
      });
      const known = answer.visitor || {};
      // It is absent where the node does not know yet what this visitor has stated elsewhere; and what he has said since
      // the question is newer than its answer.
      if (known.personal != null && asked == will()) {
        holds = known.dial;
        remember(known.personal);
      }
      if (known.proven && !isProven) {
        isProven = true;
        state();
      }
      return answer;
    } catch (trouble) {
      // Whatever was wrong: a batch takes what is right of them, and nothing else is lost.
      keep(sent);
      throw trouble;
    }
  };
  const all = (selector, within) => [...(within || doc).querySelectorAll(selector)];
  const PLACES = "[data-edgewise],[data-edgewise-placement]";
  const hosts = () => all(PLACES).filter((element) => !element.parentElement.closest(PLACES));
  const nameOf = (element) => element.dataset.edgewise || element.dataset.edgewisePlacement;
  const turns = new WeakMap();
  const renew = async (elements = hosts(), isFirst) => {
    if (!elements[0]) return;
    const turn = {};
    const wanted = {};
    for (const element of elements) {
      const called = nameOf(element);
      wanted[called] = { name: called, count: +element.dataset.edgewiseCount || undefined };
      turns.set(element, turn);
      element.dataset.edgewiseState = "waiting";
      // A fallback that nobody has seen yet need not be seen at all.
      if (isFirst) element.style.visibility = "hidden";
    }
    const answer = await ask(Object.values(wanted)).catch(() => {});
    for (const element of elements) {
      if (turns.get(element) != turn) continue;
      const called = nameOf(element);
      const placed = answer?.placements[called];
      const data = element.dataset;
      element.style.visibility = "";
      data.edgewiseState = !placed?.html ? "failed" : placed.items[0] ? "filled" : placed.nothing ? "empty" : "kept";
      if (!placed?.html) continue;
      if (data.edgewiseState == "kept") {
        // Nothing to show, or an experiment that the page itself carries out: who sees what the page has, sees it.
        Object.assign(data, { edgewisePlacement: called, edgewiseDecision: answer.decisionId, edgewiseDeferred: "" });
        continue;
      }
      const template = doc.createElement("template");
      const fresh = template.content;
      template.innerHTML = placed.html;
      for (const link of all("a[href^='/v1/']", fresh)) link.href = base + link.getAttribute("href");
      const focused = all("a,button", element).indexOf(doc.activeElement);
      const host = element.dataset.edgewise ? element : fresh.firstElementChild;
      if (host == element) host.replaceChildren(fresh);
      else element.replaceWith(host);
      all("a,button", host)[focused]?.focus({ preventScroll: true });
    }
    watch();
    performance.measure("edgewise", "edgewise");
    doc.dispatchEvent(new CustomEvent("edgewise", { detail: answer }));
    return answer;
  };
  const scan = (isFirst) => {
    watch();
    return renew(hosts().filter((element) => 
      !element.dataset.edgewiseState && !/edgewise-decision/.test(element.outerHTML)), isFirst);
  };

  // --- the page's life ---
  let route = location.pathname;
  const moved = () => {
    if (route == location.pathname) return;
    route = location.pathname;
    requestAnimationFrame(() => renew());
  };
  const begin = async () => {
    if (said.debug != null || /edgewise_/.test(location.search)) await api.debug();
    addEventListener("click", click, true);
    addEventListener("auxclick", click, true);
    addEventListener("popstate", moved);
    doc.addEventListener("visibilitychange", () => {
      for (const part of unseen.keys()) {
        // Observed anew, it is looked at anew: a second begins when the page comes into sight.
        eye.unobserve(part);
        eye.observe(part);
      }
      if (doc.hidden) flush(true);
    });
    for (const method of ["pushState", "replaceState"]) {
      const original = history[method];
      history[method] = function (...given) {
        original.apply(this, given);
        moved();
      };
    }
    if (said.manual != null) return;
    scan(!performance.getEntriesByType("paint")[0]);
    new MutationObserver(() => scan()).observe(doc, { childList: true, subtree: true });
  };
  const restate = () => Promise.race([state(), new Promise((done) => setTimeout(done, 3e3))]).then(() => renew());
  const api = window.edgewise = {
    track: note, refresh: () => renew(), decide: ask, node: base, attributes: {}, options: {}, headers: {},
    push: ([method, ...given]) => api[method](...given),
    consent(given) {
      stated = { ...stated, consent: Object.assign(allowed, given) };
      return restate();
    },
    dial(to) {
      if (to == null) return holds;
      limit = holds = to;
      stated = { ...stated, dial: to };
      kept("local", DIAL, "" + to);
      if (to < 2) visitor = random();
      // At once, should no answer come; the next one says whether it may be kept.
      remember(false);
      if (to < 1) queue = [];
      return restate();
    },
    debug: () => new Promise((done) => {
      const overlay = doc.createElement("script");
      overlay.src = base + "/edgewise-debug.js";
      overlay.onload = overlay.onerror = done;
      doc.head.append(overlay);
    }),
  };
  early.forEach(api.push);
  begin();
})();
