// Draws messages. Everything that came from outside is set as text, never as HTML.
const clone = (id) => document.getElementById(id).content.firstElementChild.cloneNode(true);
const log = document.getElementById("log");
const scroll = document.getElementById("scroll");
let lastDay = "";

export function clear() {
  log.replaceChildren();
  lastDay = "";
}

export function toEnd() {
  scroll.scrollTop = scroll.scrollHeight;
}

function put(element) {
  // Who has scrolled up to read is left in peace.
  const follow = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 160;
  log.append(element);
  if (follow) toEnd();
}

function day(at) {
  const name = dayName(new Date(at));
  if (name === lastDay) return;
  lastDay = name;
  const line = document.createElement("p");
  line.className = "day";
  line.textContent = name;
  log.append(line);
}

function dayName(date) {
  const days = Math.round((new Date().setHours(0, 0, 0, 0) - new Date(date).setHours(0, 0, 0, 0)) / 86400000);
  if (days === 0) return "今天";
  if (days === 1) return "昨天";
  return `${date.getMonth() + 1}月${date.getDate()}日`;
}

function stamp(element, at) {
  const time = element.querySelector("time");
  const date = new Date(at);
  time.dateTime = date.toISOString();
  time.textContent = `${String(date.getHours()).padStart(2, "0")}:${String(date.getMinutes()).padStart(2, "0")}`;
}

export function welcome(text) {
  const element = clone("bot-message");
  element.querySelector(".bubble").textContent = text;
  element.querySelector(".foot").remove();
  log.prepend(element);
  return element;
}

// onRetry(message) is called where she asks for a failed message to be sent again.
export function showUser(message, onRetry, animate = true) {
  day(message.at);
  const element = clone("user-message");
  element.dataset.id = message.id;
  element.querySelector(".bubble").textContent = message.text;
  stamp(element, message.at);
  element.classList.toggle("arrives", animate);
  put(element);
  showState(message, onRetry);
  return element;
}

export function showState(message, onRetry) {
  const state = log.querySelector(`[data-id="${CSS.escape(message.id)}"] .state`);
  if (!state) return;
  state.replaceChildren();
  if (message.state === "failed") {
    const retry = document.createElement("button");
    retry.type = "button";
    retry.className = "state-failed";
    retry.textContent = "没有发出去，点这里重发";
    retry.addEventListener("click", () => onRetry(message));
    state.append(retry);
  } else if (message.state === "waiting") {
    state.textContent = "等待网络恢复";
  }
}

export function showReply(message, onButton, animate = true) {
  day(message.at);
  const element = clone("bot-message");
  element.dataset.id = message.id;
  const bubble = element.querySelector(".bubble");
  bubble.textContent = message.text;
  if (message.image) bubble.append(picture(message.image));
  if (message.buttons) element.querySelector(".foot").before(buttons(message.buttons, onButton));
  stamp(element, message.at);
  element.classList.toggle("arrives", animate);
  put(element);
  return element;
}

function picture(address) {
  const url = new URL(address, location.href);
  if (url.origin === location.origin) {
    const image = document.createElement("img");
    image.src = url.href;
    image.alt = "图片";
    return image;
  }
  const link = document.createElement("a");
  link.textContent = "查看图片";
  if (url.protocol === "https:" || url.protocol === "http:") link.href = url.href;
  link.target = "_blank";
  link.rel = "noopener noreferrer";
  return link;
}

function buttons(choices, onButton) {
  const row = document.createElement("div");
  row.className = "replies";
  for (const choice of choices) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = choice.title;
    button.addEventListener("click", () => {
      row.remove();
      onButton(choice);
    });
    row.append(button);
  }
  return row;
}

export { clone, log, put };
