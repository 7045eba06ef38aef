// The shop's own script: walks between its pages without a reload, and says what edgewise.js was answered. No framework.
"use strict";

const at = (id) => document.getElementById(id);
const all = (selector) => [...document.querySelectorAll(selector)];
const trail = [];
let shown = new Set();
let clicked = 0;

// --- what was decided ---
function tell() {
  const dial = at("dial").value;
  at("trail").textContent = dial === "0" ? "Nothing is read or kept while you want nothing personal."
    : trail.length ? "You clicked: " + trail.slice(0, 8).join(", ") : "Nothing yet.";
}

document.addEventListener("edgewise", ({ detail: answer }) => {
  at("trouble").textContent = answer ? "" : "The node did not answer. What is here is what everybody sees.";
  if (!answer) return;
  const placed = Object.values(answer.placements);
  const main = answer.placements.film_list || answer.placements.reading || placed[0];
  at("bundle").textContent = "version " + answer.bundle.version + ", " + answer.bundle.state;
  at("arm").textContent = main.policy + " (" + main.reason + ")";
  at("took").textContent = answer.tookMs.toFixed(2) + " ms";
  if (clicked) at("changed").textContent = (performance.now() - clicked).toFixed(1) + " ms";
  clicked = 0;
  const items = all("main [data-edgewise-item]");
  const ids = items.map((item) => item.dataset.edgewiseItem);
  for (const item of items) item.classList.toggle("arrived", shown.size > 0 && !shown.has(item.dataset.edgewiseItem));
  shown = new Set(ids);
  document.body.dataset.decision = answer.decisionId;
});

// --- pages ---
let opened = performance.now();

// The time that an article was open is told when it is left, and goes along with the next question.
function leave() {
  const article = document.querySelector("[data-article]");
  if (article) {
    edgewise.track("Content Viewed", {
      content_id: article.dataset.article, topic: article.dataset.topic, engagedMs: Math.round(performance.now() - opened),
    });
  }
  opened = performance.now();
}

function mark(path) {
  for (const way of all(".ways a")) {
    if (way.getAttribute("href") === path) way.setAttribute("aria-current", "page");
    else way.removeAttribute("aria-current");
  }
}

async function go(path, isBack) {
  const answer = await fetch(path);
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  leave();
  document.title = fresh.title;
  mark(path);
  at("main").replaceChildren(...fresh.getElementById("main").childNodes);
  shown = new Set();
  // Asks for what the new page needs, as every change of the address does.
  if (isBack) edgewise.refresh();
  else history.pushState(null, "", path);
  scrollTo(0, 0);
  at("main").focus({ preventScroll: true });
}

addEventListener("click", (event) => {
  const part = event.target.closest("[data-edgewise-item]");
  if (part && event.target.closest("a,button")) {
    clicked = performance.now();
    if (at("dial").value !== "0") trail.unshift(part.querySelector(".title").textContent);
    tell();
  }
  const link = event.target.closest("a[href^='/']");
  if (!link || event.button || event.metaKey || event.ctrlKey || event.shiftKey || link.getAttribute("href").startsWith("/v1/")) return;
  event.preventDefault();
  // A film is watched on the page that it is on: what changes is what is picked next.
  if (!link.getAttribute("href").startsWith("/films/")) go(link.getAttribute("href"));
});
addEventListener("popstate", () => go(location.pathname, true));
addEventListener("pagehide", leave);

// --- the demo's controls ---
at("node").addEventListener("change", () => {
  document.cookie = "edge=" + at("node").value + "; path=/; samesite=lax";
  location.reload();
});
at("fresh").addEventListener("click", () => {
  for (const area of ["localStorage", "sessionStorage"]) {
    try { window[area].clear(); } catch { /* blocked: nothing is kept there either */ }
  }
  location.assign("/");
});
at("dial").addEventListener("change", () => {
  edgewise.dial(Number(at("dial").value));
  tell();
});

addEventListener("DOMContentLoaded", () => {
  edgewise.options.explain = true;
  edgewise.options.deadlineMs = 100;
  at("dial").value = String(edgewise.dial());
  tell();
  mark(location.pathname);
  edgewise.refresh();
});
