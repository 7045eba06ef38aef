// Visitors of one edge node, for k6: k6 run -e NODE=http://127.0.0.1:8090 -e RATE=500 deploy/load/decide.js
//
// Open loop: visits begin at a fixed rate whether or not earlier ones were answered, so that a node that stalls cannot
// slow its own test down. Ends with an error when a threshold is crossed.

import http from "k6/http";
import encoding from "k6/encoding";
import exec from "k6/execution";
import { check } from "k6";

const NODE = __ENV.NODE || "http://127.0.0.1:8090";
const WRITE_KEY = __ENV.WRITE_KEY || "demo"; // the starter bundle's; a site's own is shown by `edgewise site init`
const PLACEMENT = __ENV.PLACEMENT || "home_hero";
const RATE = Number(__ENV.RATE || 200); // visits a second
const DURATION = __ENV.DURATION || "30s";
const KNOWN_VISITORS = 10000;

export const options = {
  scenarios: {
    visits: {
      executor: "constant-arrival-rate",
      rate: RATE,
      timeUnit: "1s",
      duration: DURATION,
      preAllocatedVUs: Math.max(20, RATE), // one takes a visit at a time: enough for answers that take a second
      maxVUs: 10 * Math.max(20, RATE),
    },
  },
  thresholds: {
    "http_req_duration{call:decide}": ["p(95)<10"], // ms
    http_req_failed: ["rate<0.01"],
    checks: ["rate>0.99"],
    dropped_iterations: ["count<1"], // k6 itself could not keep the rate: the other figures mean nothing then
  },
};

const HEADERS = {
  "Content-Type": "application/json",
  Authorization: `Basic ${encoding.b64encode(`${WRITE_KEY}:`)}`, // a user without a password, as Segment's libraries do
};

// Of ten visits two are of somebody new, five of somebody who came before, three of somebody who clicks as well.
export default function visit() {
  const number = exec.scenario.iterationInTest;
  const turn = number % 10;
  const visitor = turn < 2 ? `k6-new-${exec.vu.idInTest}-${number}` : `k6-${(number * 7919) % KNOWN_VISITORS}`;
  const answer = post("decide", { anonymousId: visitor, placements: [{ name: PLACEMENT }] });
  const shown = check(answer, { "something is shown": (response) => itemOf(response) !== null });
  if (shown && turn >= 7) {
    click(visitor, number, answer.json());
  }
}

function click(visitor, number, decision) {
  const { id } = decision.placements[PLACEMENT].items[0];
  const answer = post("track", {
    anonymousId: visitor,
    messageId: `${decision.decisionId}-${number}`,
    event: "Promotion Clicked",
    properties: { decisionId: decision.decisionId, placement: PLACEMENT, itemId: id, promotion_id: id },
  });
  check(answer, { "a click is taken": (response) => response.status === 200 });
}

function post(call, body) {
  return http.post(`${NODE}/v1/${call}`, JSON.stringify(body), { headers: HEADERS, tags: { call } });
}

function itemOf(response) {
  if (response.status !== 200) {
    return null;
  }
  const { items } = response.json().placements[PLACEMENT];
  return items.length > 0 ? items[0].id : null;
}
