// One WebSocket for all views. A frame goes to whoever opened the stream that it names.

let socket = null;
let key = "";
let n_streams = 0;
const streams = new Map(); // id → {on_frame, on_loss}

export function headers() { return key ? {Authorization: `Bearer ${key}`} : {}; }

// Whatever runs with another key ends.
export function use_key(one) {
  key = one;
  if (socket) socket.close();
}

function lose_all(why) {
  const lost = [...streams.values()];
  streams.clear();
  for (const stream of lost) stream.on_loss(why);
}

function receive(event) {
  const frame = JSON.parse(event.data);
  const stream = streams.get(frame.id);
  if (!stream) return;
  if (["done", "error", "unwatched"].includes(frame.type)) streams.delete(frame.id);
  stream.on_frame(frame);
}

function connect() {
  if (socket && socket.readyState <= WebSocket.OPEN) return socket;
  const url = new URL("v1/stream", location.href);
  url.protocol = url.protocol.replace("http", "ws");
  url.hash = "";
  // A browser cannot set a header here.
  const made = new WebSocket(url, ["souffleur.v1", ...(key ? [`souffleur.key.${key}`] : [])]);
  made.onmessage = receive;
  made.onclose = () => {
    if (socket !== made) return;
    socket = null;
    lose_all("The connection to the server was lost.");
  };
  socket = made;
  return made;
}

export function send(frame) {
  const there = connect();
  if (there.readyState === WebSocket.OPEN) there.send(JSON.stringify(frame));
  else there.addEventListener("open", () => there.send(JSON.stringify(frame)), {once: true});
}

// Returns the stream's id. on_frame(frame) gets each of its frames; on_loss(why) comes in place of the last.
export function open_stream(frame, on_frame, on_loss) {
  const id = `page-${++n_streams}`;
  streams.set(id, {on_frame, on_loss});
  send({...frame, id});
  return id;
}

export function cancel(id) {
  if (streams.has(id)) send({type: "cancel", id});
}
