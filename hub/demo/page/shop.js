// The demo's page: asks an edge node what to show, and tells it what was clicked. No framework, no inline code.
"use strict";

const at = (id) => document.getElementById(id);
const state = { nodes: [], visitor: "", shown: new Set(), trail: [] };

function visitorId(fresh) {
  let id = fresh ? null : localStorage.getItem("shop-visitor");
  if (!id) {
    const random = crypto.getRandomValues(new Uint32Array(3));
    id = "web-" + Array.from(random, (word) => word.toString(36)).join("");
    localStorage.setItem("shop-visitor", id);
  }
  return id;
}

async function call(path, body, method = "POST") {
  const answer = await fetch(at("node").value + path, {
    method,
    credentials: "include",
    headers: { "content-type": "application/json", authorization: "Basic " + btoa(state.writeKey + ":") },
    body: JSON.stringify(body),
  });
  if (!answer.ok) {
    const problem = await answer.json().catch(() => ({}));
    throw new Error(problem.detail || problem.title || answer.status + " from " + path);
  }
  return answer.json();
}

const decide = () => call("/v1/decide", {
  anonymousId: state.visitor,
  placements: [{ name: "film_hero", count: 1 }, { name: "film_list", count: 10 }],
  context: { page: { path: location.pathname } },
  options: { explain: true, deadlineMs: 100 },
});

function track(item, placement, decisionId) {
  return call("/v1/track", {
    anonymousId: state.visitor,
    event: "Product Clicked",
    properties: { product_id: item.id, itemId: item.id, placement, decisionId },
  });
}

const sentence = (item) => (item.why && item.why.length ? item.why[0].text : {
  RULE: "Popular right now", MODEL: "Picked for you", EXPLORE: "Something different, to learn what you like",
}[item.reason] || "");

function meta(item) {
  const content = item.content || {};
  return [content.year, (content.genres || []).join(", ")].filter(Boolean).join(" · ");
}

function film(item, decisionId, arrived) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "film" + (arrived ? " arrived" : "");
  button.dataset.item = item.id;
  const poster = document.createElement("span");
  const hash = Array.from(item.id).reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) >>> 0, 7);
  poster.className = "poster poster-" + (hash % 8);
  const text = document.createElement("span");
  text.className = "text";
  for (const [name, value] of [["title", (item.content || {}).title || item.id], ["meta", meta(item)], ["reason", sentence(item)]]) {
    const part = document.createElement("span");
    part.className = name;
    part.textContent = value;
    text.append(part);
  }
  button.append(poster, text);
  button.addEventListener("click", () => clicked(item, "film_list", decisionId));
  const entry = document.createElement("li");
  entry.append(button);
  return entry;
}

function draw(answer) {
  const list = answer.placements.film_list;
  const first = state.shown.size === 0;
  at("list").replaceChildren(...list.items.map((item) => film(item, answer.decisionId, !first && !state.shown.has(item.id))));
  state.shown = new Set(list.items.map((item) => item.id));
  const hero = answer.placements.film_hero.items[0];
  if (hero) {
    at("hero-title").textContent = (hero.content || {}).title || hero.id;
    at("hero-line").textContent = meta(hero);
    at("hero-why").textContent = sentence(hero);
    at("hero-click").onclick = () => clicked(hero, "film_hero", answer.decisionId);
  }
  at("bundle").textContent = "version " + answer.bundle.version + ", " + answer.bundle.state;
  at("arm").textContent = list.policy + " (" + list.reason + ")";
  at("took").textContent = answer.tookMs.toFixed(2) + " ms";
  document.body.dataset.decision = answer.decisionId;
}

async function guarded(work) {
  try {
    await work();
    at("trouble").hidden = true;
  } catch (trouble) {
    at("trouble").textContent = "The node did not answer: " + trouble.message;
    at("trouble").hidden = false;
  }
}

const refresh = () => guarded(async () => draw(await decide()));

const clicked = (item, placement, decisionId) => guarded(async () => {
  const started = performance.now();
  await track(item, placement, decisionId);
  const answer = await decide();
  draw(answer);
  at("changed").textContent = (performance.now() - started).toFixed(1) + " ms";
  if (at("dial").value !== "0") {
    state.trail.unshift((item.content || {}).title || item.id);
  }
  tell();
});

function tell() {
  const clicked = state.trail.length ? "You clicked: " + state.trail.slice(0, 8).join(", ") : "Nothing yet.";
  at("trail").textContent = at("dial").value === "0" ? "Nothing is read or kept while you want nothing personal." : clicked;
}

function anew(fresh) {
  state.visitor = visitorId(fresh);
  state.shown = new Set();
  state.trail = [];
  tell();
  return refresh();
}

async function start() {
  const shop = await (await fetch("/shop.json")).json();
  state.writeKey = shop.writeKey;
  at("world").textContent = shop.world;
  shop.edges.forEach((url, number) => at("node").add(new Option("edge " + (number + 1), url)));
  at("node").addEventListener("change", refresh);
  at("fresh").addEventListener("click", () => anew(true));
  at("dial").addEventListener("change", () => guarded(async () => {
    await call("/v1/preferences", { dial: Number(at("dial").value) }, "PUT");
    draw(await decide());
    tell();
  }));
  await anew(false);
}

start();
