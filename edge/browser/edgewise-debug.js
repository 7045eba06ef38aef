/*
Edgewise's overlay for developers: what each placement shows and why, what was seen, clicked and sent, and other arms.

Loaded on demand, beside /edgewise.js: by `?edgewise_debug` in the address, by `data-debug` on the script element or by
`edgewise.debug()`. Nobody sees more than what the node answers him: scores, features and other arms need an operator
key (kept for this tab alone), or a node on this machine that has none.

    ?edgewise_force=home_hero:challenger,home_list:item-1|item-2    arms, or items, to be shown instead
*/
(() => {
  "use strict";
  if (window.edgewiseOverlay) return;
  const doc = document;
  const api = window.edgewise;
  const KEY = "edgewise_operator";
  let key = "";
  try {
    key = sessionStorage.getItem(KEY) || "";
  } catch {}

  const forced = {};
  for (const pair of new URLSearchParams(location.search).getAll("edgewise_force").join(",").split(",")) {
    const [placement, shown] = pair.split(":");
    if (shown) forced[placement] = shown.includes("|") ? shown.split("|") : shown;
  }
  const arrange = () => {
    // A developer wants to see what is decided, not what is shown for want of time.
    api.options = { explain: true, deadlineMs: 1e3 };
    if (Object.keys(forced).length) api.options.force = forced;
    // An answer with scores is for operators; on a node of this machine, which needs no key, a force says who asks.
    if (key || api.options.force) api.options.debug = true;
    api.headers = key ? { authorization: "Bearer " + key } : {};
  };

  // --- the panel ---
  const host = doc.createElement("div");
  window.edgewiseOverlay = host;
  const root = host.attachShadow({ mode: "open" });
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(
    ":host{all:initial;position:fixed;z-index:2147483647;inset-block-end:8px;inset-inline-end:8px}"
    + "section{box-sizing:border-box;inline-size:min(26rem,calc(100vw - 16px));block-size:min(70vh,40rem);overflow:auto;"
    + "padding:12px;border-radius:8px;background:#12161d;color:#e8edf4;font:13px/1.45 system-ui,sans-serif;"
    + "box-shadow:0 6px 24px #0008}"
    + "header{display:flex;justify-content:space-between;align-items:center;margin-block-end:6px}"
    + "h2,h3{margin:0 0 6px;font-size:14px}h3{margin-block-start:12px;color:#9fd0ff}p,dl,ol,ul{margin:0 0 6px}"
    + "ol,ul{padding-inline-start:20px}small{color:#aab6c5}code{font:12px ui-monospace,monospace;overflow-wrap:anywhere}"
    + "label{display:block;margin-block:4px}input,select,button{font:inherit;color:inherit;background:#232b37;"
    + "border:1px solid #5b6b80;border-radius:4px;padding:4px 6px}button{cursor:pointer}"
    + "[hidden]{display:none}.folded{block-size:auto;inline-size:auto}.trouble{color:#ffb4a8}"
  );
  root.adoptedStyleSheets = [sheet];
  const make = (name, text, ...inside) => {
    const element = doc.createElement(name);
    if (text) element.textContent = text;
    element.append(...inside);
    return element;
  };
  const panel = make("section");
  panel.setAttribute("aria-label", "Edgewise overlay");
  const answered = make("div");
  const told = make("ol");
  const toldTitle = make("h3", "Told");
  const keyField = make("input");
  keyField.type = "password";
  keyField.autocomplete = "off";
  keyField.value = key;
  const placementField = make("select");
  const armField = make("input");
  armField.placeholder = "arm, or item|item";
  const apply = make("button", "Decide anew");
  const fold = make("button", "Fold");
  const body = make("div", "", answered, toldTitle, told, make("h3", "Show instead"),
    make("label", "Placement ", placementField), make("label", "Arm or items ", armField),
    make("label", "Operator key ", keyField), apply);
  panel.append(make("header", "", make("h2", "Edgewise"), fold), body);
  root.append(panel);
  fold.addEventListener("click", () => {
    body.hidden = panel.classList.toggle("folded");
    fold.textContent = body.hidden ? "Unfold" : "Fold";
  });
  apply.addEventListener("click", () => {
    key = keyField.value.trim();
    try {
      sessionStorage.setItem(KEY, key);
    } catch {}
    const placement = placementField.value;
    const shown = armField.value.trim();
    if (placement && shown) forced[placement] = shown.includes("|") ? shown.split("|") : shown;
    else delete forced[placement];
    arrange();
    api.refresh();
  });

  // --- what it tells ---
  const number = (value) => typeof value == "number" ? value.toPrecision(3) : "" + value;
  const itemLine = (item, rows) => {
    const line = make("li", "", make("code", item.id));
    line.append(" " + item.reason + ", score " + number(item.score) + ", propensity " + number(item.propensity));
    const reasons = make("ul");
    for (const why of item.why) reasons.append(make("li", why.text));
    const row = rows && rows[item.id];
    if (row) {
      const values = make("details", "", make("summary", "Features"));
      for (const name of Object.keys(row)) values.append(make("div", "", make("code", name + " = " + number(row[name]))));
      reasons.append(values);
    }
    if (reasons.firstChild) line.append(reasons);
    return line;
  };
  const draw = (answer) => {
    if (!answer) {
      answered.replaceChildren(make("p", "No answer came in time, or it was refused; the page shows its fallback."));
      answered.firstChild.className = "trouble";
      return;
    }
    const measured = performance.getEntriesByName("edgewise", "measure").pop();
    answered.replaceChildren(
      make("p", "Bundle " + answer.bundle.version + ", " + answer.bundle.state + "; decided in "
        + answer.tookMs.toFixed(2) + " ms" + (measured ? "; filled " + measured.duration.toFixed(0)
        + " ms after the script began" : "") + "; dial " + api.dial() + "."),
      make("p", "", make("small", "Decision "), make("code", answer.decisionId))
    );
    const features = answer.debug && answer.debug.features || {};
    for (const name of Object.keys(answer.placements)) {
      const placed = answer.placements[name];
      const experiment = placed.experiment;
      answered.append(make("h3", name), make("p", placed.reason + ", policy " + placed.policy + (experiment
        ? ", experiment " + experiment.key + ", arm " + experiment.arm + (experiment.forced ? " (forced)" : "") : "")));
      const items = make("ol");
      for (const item of placed.items) items.append(itemLine(item, features[name]));
      if (placed.nothing) items.append(make("li", "nothing, " + placed.nothing.reason));
      answered.append(items);
    }
    for (const element of doc.querySelectorAll("[data-edgewise-state=failed]")) {
      const failed = make("p", "Keeps its fallback: " + element.dataset.edgewise);
      failed.className = "trouble";
      answered.append(failed);
    }
    const names = [...new Set([...placementField.options].map((option) => option.value).concat(
      Object.keys(answer.placements)))].sort();
    const chosen = placementField.value;
    placementField.replaceChildren(...names.map((name) => new Option(name, name, false, name == chosen)));
  };
  doc.addEventListener("edgewise", (event) => draw(event.detail));

  // What goes out is seen on its way: the client itself has no room for telling twice.
  const tell = (url, message) => {
    if (!("" + url).startsWith(api.node + "/v1/")) return;
    const said = JSON.parse(message);
    for (const event of said.batch || said.events || []) {
      told.prepend(make("li", event.event + " ", make("code", JSON.stringify(event.properties || {}))));
    }
    while (told.children.length > 20) told.lastChild.remove();
  };
  const send = window.fetch;
  window.fetch = (url, options) => {
    if (options && typeof options.body == "string") tell(url, options.body);
    return send(url, options);
  };
  const beacon = navigator.sendBeacon;
  navigator.sendBeacon = (url, message) => {
    if (typeof message == "string") tell(url, message);
    return beacon.call(navigator, url, message);
  };

  arrange();
  doc.body.append(host);
  if (doc.querySelector("[data-edgewise-state]")) api.refresh();
})();
