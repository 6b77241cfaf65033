// What the page keeps across reloads: the session's id, its messages, and what still waits to reach the server.
const KEY = "kefu.chat.1";
const KEEP_MESSAGES = 200;
const KEEP_MS = 7 * 24 * 3600 * 1000;

export function newId() {
  // crypto.randomUUID is missing on plain http; getRandomValues is not.
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export class Store {
  constructor() {
    this.reload();
  }

  reload() {
    const empty = { sessionId: null, messages: [], queue: [], rated: false, ratingOffered: false, touched: Date.now() };
    let kept = null;
    try {
      kept = JSON.parse(localStorage.getItem(KEY));
    } catch {
      // Storage is off or unreadable: the page works, it only forgets.
    }
    const fresh = kept && Array.isArray(kept.messages) && Date.now() - kept.touched < KEEP_MS;
    Object.assign(this, empty, fresh ? kept : {});
  }

  save() {
    this.touched = Date.now();
    this.messages = this.messages.slice(-KEEP_MESSAGES);
    try {
      localStorage.setItem(KEY, JSON.stringify({ ...this }));
    } catch {
      // As above.
    }
  }

  reset() {
    Object.assign(this, { sessionId: null, messages: [], queue: [], rated: false, ratingOffered: false });
    this.save();
  }

  // `payload` goes to the server in place of the words she sees, where a button asked for that.
  addUser(text, payload = text) {
    const message = { from: "user", id: newId(), text, payload, at: Date.now(), state: "sending" };
    this.messages.push(message);
    this.enqueue(message.id, payload, {});
    return message;
  }

  addFeedback(feedback) {
    this.enqueue(newId(), "", { feedback });
  }

  enqueue(id, text, metadata) {
    this.queue.push({ id, text, metadata: { ...metadata, client_message_id: id } });
    this.save();
  }

  settle(id, state) {
    this.queue = this.queue.filter((item) => item.id !== id);
    const message = this.messages.find((m) => m.id === id);
    if (message) message.state = state;
    this.save();
    return message;
  }

  // The reply as the page keeps it, or null where it is here already.
  addReply(data) {
    const metadata = data.metadata || {};
    const id = metadata.message_id || newId();
    if (this.messages.some((m) => m.id === id)) return null;
    const at = typeof metadata.timestamp === "number" ? metadata.timestamp * 1000 : Date.now();
    const image = data.attachment?.type === "image" ? data.attachment.payload?.src : undefined;
    const message = { from: "bot", id, text: String(data.text ?? ""), at, strategy: metadata.strategy, image };
    if (Array.isArray(data.quick_replies) && data.quick_replies.length) message.buttons = data.quick_replies;
    if (!message.text && !message.image && !message.buttons) return null;
    this.messages.push(message);
    this.save();
    return message;
  }

  get lastReplyId() {
    return this.messages.findLast?.((m) => m.from === "bot")?.id ?? null;
  }

  get waiting() {
    return this.queue.some((item) => item.text);
  }
}
