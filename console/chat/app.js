// The chat page: ties the store, the socket, the view and the feedback together.
import { Connection } from "./connection.js";
import { Feedback } from "./feedback.js";
import { Store } from "./store.js";
import * as view from "./view.js";

const $ = (id) => document.getElementById(id);
const input = $("input");
const store = new Store();
const PRESENCE = { connecting: "正在连接", online: "在线，通常几秒内回复", offline: "连接断开" };
const CLOSING = new Set(["thank_and_close", "request_feedback"]);
let shop = { name: "青禾优选", welcome: "您好，请问有什么可以帮您？", chips: [] };
let online = false;

const connection = new Connection(store, {
  state: showPresence,
  reply: receive,
  settled,
  signedOut: () => open().then((session) => (connection.token = session?.customer_token ?? null)),
});
const feedback = new Feedback(store, (value) => {
  store.addFeedback(value);
  connection.flush();
});

function showPresence(state) {
  online = state === "online";
  $("presence").dataset.state = state;
  $("presence-text").textContent = PRESENCE[state];
  $("offline").hidden = state !== "offline";
  for (const message of store.messages) {
    if (message.state !== "sending" && message.state !== "waiting") continue;
    message.state = online ? "sending" : "waiting";
    view.showState(message, resend);
  }
  showTyping();
}

function showTyping() {
  $("typing").hidden = !(online && store.waiting);
  if (!$("typing").hidden) view.toEnd();
}

const choose = (button) => say(button.title, button.payload || undefined);

function say(text, payload) {
  text = text.trim();
  if (!text) return;
  const message = store.addUser(text, payload);
  if (!online) message.state = "waiting";
  view.showUser(message, resend);
  view.toEnd();
  connection.flush();
  showTyping();
}

function resend(message) {
  message.state = online ? "sending" : "waiting";
  view.showState(message, resend);
  store.enqueue(message.id, message.payload, {});
  connection.flush();
  showTyping();
}

function receive(data) {
  if (data.custom?.feedback) feedback.receipt(data.custom);
  const message = store.addReply(data);
  if (!message) return;
  feedback.attach(view.showReply(message, choose), message);
  if (CLOSING.has(message.strategy) && !store.ratingOffered) rate();
  showTyping();
}

function settled(item, state) {
  const message = store.settle(item.id, state);
  if (message) view.showState(message, resend);
  else if (state === "failed") feedback.receipt({ feedback: "failed", message_id: item.metadata.feedback?.message_id });
  showTyping();
}

function rate() {
  store.ratingOffered = true;
  store.save();
  return feedback.offerRating();
}

function draw() {
  view.clear();
  for (const message of store.messages) {
    if (message.from === "user") view.showUser(message, resend, false);
    else feedback.attach(view.showReply(message, choose, false), message);
  }
  view.welcome(shop.welcome);
  view.toEnd();
  showTyping();
}

// What the server says of the shop, and in demo mode of the demo customer. null where it cannot be asked now.
async function open() {
  try {
    const answer = await fetch("/chat/session", { signal: AbortSignal.timeout?.(8000) });
    return answer.ok ? await answer.json() : null;
  } catch {
    return null;
  }
}

// Furnishes the page, trying again until it can, and gives the customer's token.
async function begin() {
  const session = await open();
  if (session) {
    furnish(session);
    draw();
  } else {
    setTimeout(() => begin().then((token) => (connection.token = token)), 3000);
  }
  return ownToken() ?? session?.customer_token ?? null;
}

// The shop's own pages open /chat#token=<customer token>; it leaves the address bar at once.
function ownToken() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (token) {
    sessionStorage.setItem("kefu.token", token);
    history.replaceState(null, "", location.pathname);
  }
  return sessionStorage.getItem("kefu.token");
}

function furnish(session) {
  shop = { ...shop, ...session.shop };
  document.title = `在线客服 · ${shop.name}`;
  $("shop-name").textContent = shop.name;
  $("chips").replaceChildren(...shop.chips.map((chip) => button(chip.title, () => say(chip.message))));
  $("demo").hidden = !session.demo;
  const orders = (session.orders ?? []).map((order) => {
    const item = document.createElement("li");
    const hint = document.createElement("small");
    hint.textContent = `${order.order_id}　${order.order_state}`;
    item.append(button(order.product, () => write(`订单号${order.order_id}`)));
    item.firstElementChild.append(hint);
    return item;
  });
  $("demo-orders").replaceChildren(...orders);
}

function button(title, onClick) {
  const element = document.createElement("button");
  element.type = "button";
  element.textContent = title;
  element.addEventListener("click", onClick);
  return element;
}

function write(text) {
  input.value = text;
  $("demo").open = false;
  grow();
  input.focus();
}

function grow() {
  input.style.height = "auto";
  input.style.height = `${input.scrollHeight + 2}px`;
  $("send").disabled = !input.value.trim();
}

input.addEventListener("input", grow);
input.addEventListener("keydown", (event) => {
  // While a Chinese input method is composing, Enter picks the word. Safari ends the composition first: key code 229.
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
  event.preventDefault();
  $("composer").requestSubmit();
});
$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  say(input.value);
  input.value = "";
  grow();
});
$("rate").addEventListener("click", () => {
  const card = rate();
  if (card) card.querySelector("button").focus();
  else $("spoken").textContent = "聊过之后就可以评价了";
});
$("clear").addEventListener("click", () => {
  if (!confirm("清空这次对话，重新开始吗？")) return;
  store.reset();
  draw();
  connection.restart();
  input.focus();
});
$("demo").addEventListener("toggle", view.toEnd);
// Another tab of the same session has written.
addEventListener("storage", () => {
  store.reload();
  draw();
});
// iOS lays the keyboard over the page and does not resize it.
visualViewport?.addEventListener("resize", () => {
  const phone = innerWidth < 800 && visualViewport.scale === 1;
  document.querySelector(".chat").style.height = phone ? `${visualViewport.height}px` : "";
  if (phone) scrollTo(0, 0);
  view.toEnd();
});

draw();
view.log.setAttribute("aria-live", "polite");
begin().then((token) => connection.open(token));
