// A real browser against an example server. SERVER_CMD says which one, run from the repository's root:
//   SERVER_CMD="php examples/php/server.php" npm test
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import net from "node:net";
import path from "node:path";
import readline from "node:readline";
import { after, afterEach, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import zlib from "node:zlib";
import { chromium } from "playwright-core";

const root = fileURLToPath(new URL("../..", import.meta.url));
const artifacts = path.resolve(root, process.env.ARTIFACTS ?? "target/artifacts");
const laptop = { viewport: { width: 1280, height: 800 } };
const tablet = { viewport: { width: 820, height: 1180 } };
const phone = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };
const browserArguments = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync"];

let server;
let addresses;
let browser;
let contexts = [];
let taps = [];

// ---- The server and the browser ----------------------------------------------------------------

async function readAddresses(child) {
  const found = {};
  const lines = readline.createInterface({ input: child.stdout });
  const readAll = (async () => {
    for await (const line of lines) {
      const [name, address] = line.trim().split(" ");
      found[name] = address;
      if (found.resolution && found.works && found.page) return found;
    }
    throw new Error(`the server ended after saying only ${JSON.stringify(found)}`);
  })();
  const tooLate = new Promise((_, reject) => setTimeout(reject, 10_000, new Error("the server named no addresses in 10 s")).unref());
  return Promise.race([readAll, tooLate]);
}

async function startServer(ports = { resolution: 0, works: 0 }) {
  assert.ok(process.env.SERVER_CMD, 'set SERVER_CMD, for example "python3 examples/python/server.py"');
  const [program, ...words] = process.env.SERVER_CMD.split(" ").filter(Boolean);
  const child = spawn(program, [...words, "--resolution-port", String(ports.resolution), "--works-port", String(ports.works)],
    { cwd: root, stdio: ["ignore", "pipe", "inherit"] });
  child.on("error", (error) => { throw error; });
  const found = await readAddresses(child);
  // A full pipe would stop the server.
  child.stdout.resume();
  return { child, addresses: found };
}

async function stopServer({ child }) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  const impatient = setTimeout(() => child.kill("SIGKILL"), 3000);
  await ended;
  clearTimeout(impatient);
}

before(async () => {
  mkdirSync(artifacts, { recursive: true });
  server = await startServer();
  addresses = server.addresses;
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: browserArguments });
});

afterEach(async () => {
  await Promise.all(contexts.map((context) => context.close()));
  contexts = [];
  for (const tap of taps) tap.close();
  taps = [];
});

after(async () => {
  await browser?.close();
  if (server) await stopServer(server);
});

// ---- The page ----------------------------------------------------------------------------------

const byTestId = (page, id) => page.locator(`[data-testid="${id}"]`);

function pageUrl({ on = "resolution", resolution = addresses.resolution, works = addresses.works } = {}) {
  const { host } = new URL(addresses[on]);
  return `http://${host}/?${new URLSearchParams({ resolution, works })}`;
}

async function openPage({ url = pageUrl(), ready = ["resolution", "works", "chat"], ...options } = {}) {
  const context = await browser.newContext({ ...laptop, ...options });
  context.setDefaultTimeout(10_000);
  contexts.push(context);
  const page = await context.newPage();
  const heard = { log: [], errors: [] };
  page.on("console", (message) => (message.type() === "error" ? heard.errors : heard.log).push(message.text()));
  page.on("pageerror", (error) => heard.errors.push(String(error)));
  await page.goto(url);
  for (const name of ready) await byTestId(page, `${name}-send`).and(page.locator(":enabled")).waitFor();
  return { page, heard };
}

async function say(page, name, text) {
  await byTestId(page, `${name}-input`).fill(text);
  await byTestId(page, `${name}-send`).click();
}

const waitForLine = (page, log, text) => byTestId(page, log).locator("li", { hasText: text }).first().waitFor();

const waitForFrame = (page, payloadLength) =>
  page.getByText(`Your text frame, ${payloadLength.toLocaleString("en-US")} byte`).waitFor();

async function shownFrame(page) {
  const picture = byTestId(page, "frame-picture");
  const fields = await picture.locator("[data-field]").evaluateAll(
    (nodes) => nodes.map((node) => [node.dataset.field, node.dataset.value]));
  const text = (id) => byTestId(picture, id).textContent();
  return {
    ...Object.fromEntries(fields),
    masked: await text("payload-masked"), unmasked: await text("payload-unmasked"), text: await text("payload-text"),
  };
}

function xorWithKey(hex, key) {
  const keyBytes = Buffer.from(key, "hex");
  return Buffer.from(Buffer.from(hex, "hex").map((byte, i) => byte ^ keyBytes[i % 4])).toString("hex");
}

async function unusedPort() {
  const listener = net.createServer().listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address();
  listener.close();
  await once(listener, "close");
  return port;
}

// Stands between the browser and the server, and keeps what was said on each connection.
async function listenIn(address) {
  const { hostname, port, pathname } = new URL(address);
  const heard = [];
  const tap = net.createServer((client) => {
    const connection = { up: [], down: [] };
    heard.push(connection);
    const upstream = net.connect(port, hostname);
    client.on("data", (bytes) => connection.up.push(bytes)).pipe(upstream);
    upstream.on("data", (bytes) => connection.down.push(bytes)).pipe(client);
    for (const socket of [client, upstream]) socket.on("error", () => [client, upstream].forEach((end) => end.destroy()));
  }).listen(0, "127.0.0.1");
  await once(tap, "listening");
  taps.push(tap);
  return { url: `ws://127.0.0.1:${tap.address().port}${pathname}`, heard };
}

// The head of one direction, and the frames behind it: a reader that is not libwsframe's.
function readWire(pieces) {
  const bytes = Buffer.concat(pieces);
  const end = bytes.indexOf("\r\n\r\n") + 4;
  const frames = [];
  for (let at = end; at < bytes.length;) {
    const start = at;
    const masked = (bytes[at + 1] & 0x80) !== 0;
    let length = bytes[at + 1] & 0x7f;
    at += 2;
    if (length === 126) length = bytes.readUInt16BE((at += 2) - 2);
    else if (length === 127) length = Number(bytes.readBigUInt64BE((at += 8) - 8));
    const key = masked ? bytes.subarray(at, at += 4) : Buffer.alloc(4);
    const payload = bytes.subarray(at, at + length).map((byte, i) => byte ^ key[i % 4]);
    frames.push({ firstByte: bytes[start], masked, key: key.toString("hex"), headerLength: at - start, payload });
    at += length;
    assert.ok(at <= bytes.length, "it ends inside a frame");
  }
  return { head: bytes.subarray(0, end).toString(), frames, firstBytes: frames.map(({ firstByte }) => firstByte) };
}

const opcodeOf = ({ firstByte }) => firstByte & 0x0f;
const [TEXT, BINARY, CLOSE, PING, PONG] = [1, 2, 8, 9, 10];

// What the page has said and heard on each of its chat connections. What is binary are the server's reports of the rest.
function chatConnections(heard) {
  return heard.filter(({ up }) => Buffer.concat(up).toString("latin1").startsWith("GET /chat"))
    .map(({ up, down }) => [readWire(up), readWire(down)])
    .map(([up, down]) => ({
      request: up.head, response: down.head, you: up.frames, server: down.frames.filter((frame) => opcodeOf(frame) !== BINARY),
    }));
}

const isCompressed = (firstByte) => (firstByte & 0x40) !== 0;
const dataFrames = (firstBytes) => firstBytes.filter((firstByte) => (firstByte & 0x08) === 0);

// The page through a listener, so that what it shows can be compared with what was on the wire.
async function openTappedPage(options) {
  const { url, heard } = await listenIn(addresses.resolution);
  const { host } = new URL(url);
  return { ...await openPage({ url: pageUrl().replace(new URL(addresses.resolution).host, host), ...options }), wire: () => chatConnections(heard) };
}

const chips = (page) => byTestId(page, "history").getByRole("button");
const chip = (page, name) => chips(page).filter({ hasText: name });
const title = (page) => byTestId(page, "frame-picture").locator("h2").textContent();
const field = (page, name) => byTestId(page, "frame").locator(`[data-field="${name}"]`);

// That the picture shows this frame, of which it knows 64 bytes of the payload.
async function assertShown(page, { firstByte, masked, key, headerLength, payload }) {
  const picture = byTestId(page, "frame-picture");
  const fields = Object.fromEntries(await picture.locator("[data-field]").evaluateAll(
    (nodes) => nodes.map((node) => [node.dataset.field, node.dataset.value])));
  assert.deepEqual([fields.fin, fields.rsv1, fields.rsv2, fields.rsv3].map(Number), [0x80, 0x40, 0x20, 0x10].map((bit) => Number((firstByte & bit) !== 0)));
  assert.equal(Number(fields.opcode), firstByte & 0x0f);
  assert.deepEqual([fields.mask, fields["mask-key"]], masked ? ["1", key] : ["0", undefined]);
  assert.equal(Number(fields["extended-len"] ?? fields["payload-len"]), payload.length);
  assert.equal(await byTestId(picture, "payload-unmasked").textContent(), payload.subarray(0, 64).toString("hex"));
  assert.ok((await picture.locator("#frame-size").textContent()).startsWith(
    `${headerLength} + ${payload.length.toLocaleString("en-US")} bytes on the wire`));
  assert.match(await title(page), masked ? /^Your / : /^The server’s /);
}

async function waitForChat(page) {
  await byTestId(page, "chat-send").and(page.locator(":enabled")).waitFor();
  await byTestId(page, "chat-name").getByText(/^visitor \d+$/).waitFor();
}

async function takePicture(page, name) {
  await page.evaluate(() => scrollTo(0, 0));
  await page.screenshot({ path: path.join(artifacts, name), fullPage: true, animations: "disabled" });
}

async function assertFitsWidth(page) {
  const { content, window } = await page.evaluate(
    () => ({ content: document.documentElement.scrollWidth, window: innerWidth }));
  assert.ok(content <= window, `the page is ${content} px wide in a window of ${window} px`);
}

// ---- The tests ---------------------------------------------------------------------------------

for (const on of ["resolution", "works"]) {
  test(`the page opens from the ${on} address and both sockets succeed`, async () => {
    const { page, heard } = await openPage({ url: pageUrl({ on }) });
    assert.equal(heard.log.filter((line) => line === "succeed").length, 2);
    assert.match(await byTestId(page, "resolution-state").textContent(), /succeed/);
    assert.match(await byTestId(page, "works-state").textContent(), /succeed/);
    assert.deepEqual(heard.errors, []);
  });
}

for (const name of ["resolution", "works"]) {
  test(`a message typed into the ${name} document's socket comes back`, async () => {
    const { page, heard } = await openPage();
    await say(page, name, "grüße ✓ <b>not bold</b>");
    await waitForLine(page, `${name}-log`, "returned");
    assert.deepEqual(await byTestId(page, `${name}-log`).locator("li").allTextContents(),
      ["sentgrüße ✓ <b>not bold</b>", "returnedgrüße ✓ <b>not bold</b>"]);
    assert.ok(heard.log.some((line) => line.startsWith("MessageEvent")), "the document's console.log(e) was not heard");
    assert.deepEqual(heard.errors, []);
  });
}

test("two tabs chat, one on each address, and each sees the other's message", async () => {
  const { page: first, heard: heardFirst } = await openPage({ url: pageUrl({ on: "resolution" }) });
  const { page: second, heard: heardSecond } = await openPage({ url: pageUrl({ on: "works" }) });
  await byTestId(first, "visitors").getByText("2", { exact: true }).waitFor();
  const names = [await byTestId(first, "chat-name").textContent(), await byTestId(second, "chat-name").textContent()];
  assert.notEqual(names[0], names[1]);
  await say(first, "chat", "from the first");
  await waitForLine(second, "chat-log", "from the first");
  await say(second, "chat", "from the second");
  await waitForLine(first, "chat-log", "from the second");
  const said = await byTestId(first, "chat-log").locator("li").allTextContents();
  assert.deepEqual(said, [`${names[0]} (you)from the first`, `${names[1]}from the second`]);
  await second.close();
  await byTestId(first, "visitors").getByText("1", { exact: true }).waitFor();
  assert.deepEqual([...heardFirst.errors, ...heardSecond.errors], []);
});

test("before anything is sent the picture shows the RFC's example", async () => {
  const { page } = await openPage();
  assert.match(await byTestId(page, "frame-picture").locator("h2").textContent(), /Example/);
  assert.deepEqual(await shownFrame(page), {
    fin: "1", rsv1: "0", rsv2: "0", rsv3: "0", opcode: "1", mask: "1", "payload-len": "5", "mask-key": "37fa213d",
    masked: "7f9f4d5158", unmasked: "48656c6c6f", text: "Hello",
  });
});

test("the picture takes the frame apart that was sent", async () => {
  const { page, heard } = await openPage();
  const typed = "Schöne Grüße, 世界 🙂";
  const bytes = Buffer.from(typed);
  await say(page, "chat", typed);
  await waitForFrame(page, bytes.length);
  const { masked, unmasked, text, "mask-key": key, ...header } = await shownFrame(page);
  assert.deepEqual(header, { fin: "1", rsv1: "0", rsv2: "0", rsv3: "0", opcode: "1", mask: "1", "payload-len": String(bytes.length) });
  assert.match(key, /^[0-9a-f]{8}$/);
  assert.equal(unmasked, bytes.toString("hex"));
  assert.equal(xorWithKey(masked, key), unmasked);
  assert.equal(text, typed);
  assert.deepEqual(heard.errors, []);
});

const lengthForms = [
  { length: 125, field: "125", extended: undefined },
  { length: 126, field: "126", extended: "126" },
  { length: 65536, field: "127", extended: "65536" },
];

for (const { length, field, extended } of lengthForms) {
  test(`a message of ${length} bytes shows its form of the length`, async () => {
    const { page, heard } = await openPage();
    await byTestId(page, `length-${length}`).click();
    await waitForFrame(page, length);
    const frame = await shownFrame(page);
    assert.equal(frame["payload-len"], field);
    assert.equal(frame["extended-len"], extended);
    assert.equal(frame.unmasked.length, 2 * 64, "the first 64 bytes of the payload");
    assert.equal(xorWithKey(frame.masked, frame["mask-key"]), frame.unmasked);
    await byTestId(page, "chat-log").locator("li").waitFor();
    const line = await byTestId(page, "chat-log").locator("li").textContent();
    assert.ok(line.length < 300, "a long message is shortened in the log");
    if (length > 200) assert.match(line, /… \(65,536 bytes\)$/);
    assert.deepEqual(heard.errors, []);
  });
}

test("an earlier frame can be chosen again", async () => {
  const { page } = await openPage();
  await say(page, "chat", "first");
  await waitForFrame(page, 5);
  await say(page, "chat", "second");
  await waitForFrame(page, 6);
  await page.getByRole("button", { name: "5 B first" }).click();
  assert.equal((await shownFrame(page)).text, "first");
  await page.getByRole("button", { name: "RFC example" }).click();
  assert.equal((await shownFrame(page))["mask-key"], "37fa213d");
});

test("a server that is not running shows as an error and disturbs nothing else", async () => {
  const works = `ws://127.0.0.1:${await unusedPort()}/xxoo`;
  const { page, heard } = await openPage({ url: pageUrl({ works }), ready: ["resolution", "chat"] });
  await byTestId(page, "works-state").getByText("error").waitFor();
  assert.ok(await byTestId(page, "works-send").isDisabled());
  assert.deepEqual(heard.log.toSorted(), ["error", "succeed"]);
  await say(page, "resolution", "still here");
  await waitForLine(page, "resolution-log", "returned");
  // The browser itself reports the refused connection; the page must add nothing to that.
  assert.deepEqual(heard.errors.filter((line) => !line.includes("ERR_CONNECTION_REFUSED")), []);
});

for (const name of ["resolution", "works"]) {
  test(`the browser and the ${name} server compress what they say to each other`, async () => {
    const { page, heard: { errors } } = await openPage();
    const { url, heard } = await listenIn(addresses[name]);
    const { returned, extensions, wasClean, code } = await page.evaluate(async (url) => {
      const socket = new WebSocket(url);
      socket.binaryType = "arraybuffer";
      const next = (type) => new Promise((resolve, reject) => {
        socket.addEventListener(type, resolve, { once: true });
        socket.addEventListener("error", () => reject(new Error("the socket failed")), { once: true });
      });
      await next("open");
      const text = Array.from({ length: 30_000 }, (_, i) => `κόσμε ${i % 700}, `).join("");
      const noise = crypto.getRandomValues(new Uint8Array(5000));
      let returned = 0;
      for (const sent of ["", text, "short", text, new Uint8Array(0), new Uint8Array(2_000_000), noise, text]) {
        const answer = next("message");
        socket.send(sent);
        const { data } = await answer;
        const isSame = typeof sent === "string" ? data === sent
          : data.byteLength === sent.length && new Uint8Array(data).every((byte, i) => byte === sent[i]);
        if (!isSame) throw new Error(`${sent.length} came back as ${data.length ?? data.byteLength}`);
        returned++;
      }
      const { extensions } = socket;
      const closed = next("close");
      socket.close(1000);
      const { wasClean, code } = await closed;
      return { returned, extensions, wasClean, code };
    }, url);
    assert.deepEqual([returned, wasClean, code], [8, true, 1000]);
    assert.equal(extensions, "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12");
    const [up, down] = [readWire(heard[0].up), readWire(heard[0].down)];
    assert.match(up.head, /Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n/i);
    assert.match(down.head, /Sec-WebSocket-Extensions: permessage-deflate;/i);
    const starts = ({ firstBytes }) => dataFrames(firstBytes).filter((firstByte) => (firstByte & 0x0f) !== 0);
    assert.equal(starts(up).length, 8);
    assert.equal(starts(down).length, 8);
    for (const sent of [up, down]) {
      for (const long of [1, 3, 5, 7]) assert.ok(isCompressed(starts(sent)[long]), "RSV1 is set");
      const others = sent.firstBytes.filter((firstByte) => (firstByte & 0x0f) === 0 || (firstByte & 0x08) !== 0);
      assert.ok(!others.some(isCompressed), "neither on continuations nor on control frames");
    }
    const size = (pieces) => pieces.reduce((sum, piece) => sum + piece.length, 0);
    assert.ok(size(heard[0].up) < 700_000 && size(heard[0].down) < 700_000, "of 3.4 MB each");
    assert.deepEqual(errors, []);
  });
}

test("the chat is not compressed, so that its picture shows the text", async () => {
  const { page } = await openPage();
  const { url, heard } = await listenIn(addresses.resolution.replace(/\/?$/, "/chat"));
  const extensions = await page.evaluate(async (url) => {
    const socket = new WebSocket(url);
    const told = (type) => new Promise((resolve) => socket.addEventListener("message", ({ data }) => {
      if (typeof data === "string" && JSON.parse(data).type === type) resolve();
    }));
    await told("welcome");
    const returned = told("message");
    socket.send("the same word, ".repeat(100));
    await returned;
    socket.close();
    await new Promise((resolve) => socket.addEventListener("close", resolve));
    return socket.extensions;
  }, url);
  assert.equal(extensions, "");
  const [up, down] = [readWire(heard[0].up), readWire(heard[0].down)];
  assert.match(up.head, /Sec-WebSocket-Extensions: permessage-deflate/i);
  assert.doesNotMatch(down.head, /Sec-WebSocket-Extensions/i);
  assert.ok(!up.firstBytes.concat(down.firstBytes).some(isCompressed));
});

test("an address on another host is not taken from the link", async () => {
  const { page } = await openPage({ url: pageUrl({ works: "ws://attacker.example:9/xxoo" }), ready: ["chat"] });
  assert.match(await page.locator("#works .listing").textContent(), /new WebSocket\("ws:\/\/127\.0\.0\.1:8002\/xxoo"\)/);
});

test("the page fits a laptop, and its picture is saved", async () => {
  const { page, heard } = await openPage();
  const { page: other } = await openPage();
  await say(other, "chat", "Is this the picture the document lost?");
  await waitForLine(page, "chat-log", "Is this the picture");
  await say(page, "chat", "Yes: every bit in its place.");
  await waitForFrame(page, 28);
  await say(page, "resolution", "Hello, port 4000");
  await say(page, "works", "Hello, xxoo");
  await waitForLine(page, "resolution-log", "returned");
  await waitForLine(page, "works-log", "returned");
  await assertFitsWidth(page);
  await takePicture(page, "page-laptop.png");
  assert.deepEqual(heard.errors, []);
});

test("the page fits a phone without scrolling sideways, and its picture is saved", async () => {
  const { page, heard } = await openPage(phone);
  await assertFitsWidth(page);
  await byTestId(page, "length-65536").tap();
  await waitForFrame(page, 65536);
  await assertFitsWidth(page);
  await say(page, "chat", "x".repeat(300));
  await waitForFrame(page, 300);
  await assertFitsWidth(page);
  await say(page, "chat", "Hello from a phone");
  await waitForFrame(page, 18);
  await waitForLine(page, "chat-log", "Hello from a phone");
  const small = await page.locator("button:visible, input:visible").evaluateAll(
    (nodes) => nodes.filter((node) => node.getBoundingClientRect().height < 44).map((node) => node.textContent));
  assert.deepEqual(small, [], "controls too small for a finger");
  await takePicture(page, "page-phone.png");
  assert.deepEqual(heard.errors, []);
});

// ---- All frames, both ways ---------------------------------------------------------------------

test("the list has every frame of both directions, as it was on the wire", async () => {
  const { page, heard, wire } = await openTappedPage();
  const { page: other } = await openPage();
  await say(other, "chat", "from another visitor");
  await waitForLine(page, "chat-log", "from another visitor");
  await say(page, "chat", "Grüße an alle");
  await waitForFrame(page, 15);
  await byTestId(page, "ping").click();
  await chip(page, "pong 14 B").waitFor();
  await byTestId(page, "length-126").click();
  await waitForFrame(page, 126);
  await chip(page, /from the server: \d+ B visitor \d+: One frame/).waitFor();
  const [{ you, server }] = wire();
  assert.deepEqual(you.map(opcodeOf), [TEXT, TEXT, PONG, TEXT]);
  assert.equal(server.map(opcodeOf).filter((opcode) => opcode === PING).length, 1);
  const lanes = await chips(page).evaluateAll((nodes) => nodes.map((node) => node.className));
  assert.deepEqual(lanes.slice(0, 2), ["you", "both"], "first the RFC's example and the handshake");
  assert.equal(lanes.length, 2 + you.length + server.length);
  const left = { you: [...you], server: [...server] };
  for (const [i, lane] of lanes.entries()) {
    if (i < 2) continue;
    await chips(page).nth(i).click();
    assert.equal(await chips(page).nth(i).getAttribute("aria-pressed"), "true");
    await assertShown(page, left[lane].shift());
  }
  assert.deepEqual(heard.errors, []);
});

test("an answer stands below the frame that it answers", async () => {
  const { page } = await openPage();
  const name = await byTestId(page, "chat-name").textContent();
  await say(page, "chat", "Hello");
  await chip(page, `${name}: Hello`).waitFor();
  await byTestId(page, "ping").click();
  await chip(page, "pong 14 B").waitFor();
  const columns = await byTestId(page, "history").locator(".column").evaluateAll(
    (nodes) => nodes.map((node) => [...node.children].map((child) => child.textContent.replace(/\d+ B/, "n B"))));
  assert.deepEqual(columns.slice(-3), [
    ["from you: n B Hello", `from the server: n B ${name}: Hello`],
    ["from you: n B /ping"],
    ["from the server: ping n B are you there?", "from you: pong n B are you there?"],
  ]);
});

test("a ping of the server and the browser's pong have the same payload", async () => {
  const { page, wire } = await openTappedPage();
  await byTestId(page, "ping").click();
  await page.getByText("Your pong frame, 14 bytes").waitFor();
  assert.equal(await byTestId(page, "payload-text").textContent(), "are you there?");
  assert.match(await field(page, "opcode").textContent(), /answer to a ping/);
  await chip(page, "ping 14 B").click();
  assert.equal(await title(page), "The server’s ping frame, 14 bytes");
  assert.equal(await byTestId(page, "payload-text").textContent(), "are you there?");
  assert.match(await field(page, "mask").textContent(), /a server never masks/);
  await assertShown(page, wire()[0].server.find((frame) => opcodeOf(frame) === PING));
  assert.equal(await byTestId(page, "chat-log").locator("li").count(), 0, "what asks for a ping is no message");
});

test("in a silence the last ping will do", async () => {
  const context = await browser.newContext(laptop);
  contexts.push(context);
  const page = await context.newPage();
  let report;
  await page.routeWebSocket(/\/chat/, (route) => {
    const real = route.connectToServer();
    real.onMessage((message) => route.send(message));
    report = (facts) => route.send(Buffer.from(JSON.stringify(facts)));
  });
  await page.goto(pageUrl());
  await waitForChat(page);
  await chip(page, "visitors: ").first().waitFor();
  const before = await chips(page).count();
  const control = { fin: 1, rsv1: 0, rsv2: 0, rsv3: 0, payload_len: 0, masked: "", unmasked: "" };
  for (let i = 0; i < 5; i++) {
    report({ ...control, type: "sent", opcode: PING, mask: 0, header_len: 2, header: "8900", mask_key: "" });
    report({ ...control, type: "frame", opcode: PONG, mask: 1, header_len: 6, header: "8a80010203ff", mask_key: "010203ff" });
  }
  await chip(page, "pong 0 B").waitFor();
  await page.waitForFunction((count) => document.querySelectorAll("#history button").length === count, before + 2);
  assert.match(await title(page), /Example/, "nobody has asked for them");
});

test("the opening handshake is shown, and how the accept key comes about", async () => {
  const { page, heard, wire } = await openTappedPage();
  await chip(page, "opening handshake").click();
  assert.equal(await title(page), "The opening handshake");
  assert.ok(await byTestId(page, "frame").isHidden());
  const [{ request, response }] = wire();
  const shown = await byTestId(page, "handshake").locator("pre").allTextContents();
  assert.deepEqual(shown.map((text) => text.replaceAll("\n", "\r\n") + "\r\n"), [request, response]);
  const key = request.match(/Sec-WebSocket-Key: (.*)\r\n/i)[1];
  const joined = `${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
  const sum = createHash("sha1").update(joined).digest();
  assert.equal(await byTestId(page, "accept-joined").textContent(), joined);
  await byTestId(page, "accept-sha1").getByText(sum.toString("hex").match(/../g).join(" "), { exact: true }).waitFor();
  assert.equal(await byTestId(page, "accept-base64").textContent(), `${sum.toString("base64")}, which is what the server answered`);
  assert.ok(response.includes(`\r\nSec-WebSocket-Accept: ${sum.toString("base64")}\r\n`));
  assert.match(await byTestId(page, "extensions").textContent(), /Your browser offers permessage-deflate.* does not take it up/);
  assert.deepEqual(heard.errors, []);
});

test("the switch leads to a compressed connection to the same chat, and RSV1 is explained", async () => {
  const { page, heard, wire } = await openTappedPage();
  const { page: other } = await openPage();
  const name = await byTestId(page, "chat-name").textContent();
  await byTestId(page, "compressed").check();
  await page.getByRole("heading", { name: "The opening handshake" }).waitFor();
  await waitForChat(page);
  assert.equal(await byTestId(page, "chat-name").textContent(), name, "the same visitor");
  assert.match(await byTestId(page, "extensions").textContent(), /^Both agree on permessage-deflate/);
  await byTestId(page, "length-126").click();
  await page.getByText(/^Your compressed text frame, \d+ bytes?$/).waitFor();
  await chip(page, /from the server: compressed \d+ B visitor \d+: One frame/).waitFor();
  const said = "One frame, many bytes. ".repeat(6).slice(0, 126);
  const { you, server } = wire()[1];
  const [mine] = you;
  await assertShown(page, mine);
  assert.ok(isCompressed(mine.firstByte));
  assert.equal(inflate(mine.payload), said, "what is on the wire is what was said");
  assert.equal(await byTestId(page, "payload-text").textContent(), said);
  assert.match(await field(page, "rsv1").textContent(), /permessage-deflate \(RFC 7692\) uses it: this message is compressed/);
  assert.match(await page.locator("#frame-size").textContent(), /, for 126 of text$/);

  await chip(page, /from the server: compressed \d+ B visitor \d+: One frame/).click();
  await assertShown(page, server.at(-1));
  assert.deepEqual(JSON.parse(await byTestId(page, "payload-text").textContent()), { type: "message", from: name, text: said });
  await chip(page, "visitors: ").last().click();
  assert.match(await field(page, "rsv1").textContent(), /would not get shorter/);

  await waitForLine(other, "chat-log", "One frame");
  await say(other, "chat", "from the other address");
  await waitForLine(page, "chat-log", "from the other address");
  await byTestId(page, "compressed").uncheck();
  await page.getByText(/does not take it up/).waitFor();
  assert.deepEqual(heard.errors, []);
});

const inflate = (payload) => zlib.inflateRawSync(Buffer.concat([payload, Buffer.from([0, 0, 0xff, 0xff])]),
  { finishFlush: zlib.constants.Z_SYNC_FLUSH }).toString();

test("a close is said in words, and both close frames are shown when the page is back", async () => {
  const { page, heard, wire } = await openTappedPage();
  const name = await byTestId(page, "chat-name").textContent();
  await byTestId(page, "close").click();
  await byTestId(page, "chat-why").getByText("The connection was closed with 1000, normal closure.").waitFor();
  await byTestId(page, "chat-now").click();
  await page.getByText("Your close frame, 9 bytes").waitFor();
  const [{ you, server }] = wire();
  await assertShown(page, you.at(-1));
  assert.equal(opcodeOf(you.at(-1)), CLOSE);
  assert.equal(await byTestId(page, "close-code").textContent(), "1000, normal closure");
  assert.equal(await byTestId(page, "close-reason").textContent(), "goodbye");
  await chip(page, "from the server: close").click();
  await assertShown(page, server.at(-1));
  assert.equal(await byTestId(page, "close-code").textContent(), "1000, normal closure");
  await waitForChat(page);
  assert.equal(await byTestId(page, "chat-name").textContent(), name);
  assert.ok(await byTestId(page, "chat-ended").isHidden());
  assert.deepEqual(heard.errors, []);
});

test("a message of the chat leads to the frame that brought it", async () => {
  const { page, wire } = await openTappedPage();
  const { page: other } = await openPage();
  await say(page, "chat", "from me");
  await waitForFrame(page, 7);
  await say(other, "chat", "from another visitor");
  const brought = (text) => byTestId(page, "chat-log").locator("li", { hasText: text }).getByRole("button", { name: "Show the frame" });
  await brought("from another visitor").click();
  const [{ you, server }] = wire();
  await assertShown(page, server.at(-1));
  assert.match(server.at(-1).payload.toString(), /from another visitor/);
  await brought("from me").click();
  await assertShown(page, you[0]);
});

for (const [size, options] of Object.entries({ laptop, phone })) {
  test(`on a ${size} the picture has up to 32 bytes of the payload`, async () => {
    const { page } = await openPage(options);
    const pictured = page.locator('#grid [data-part="payload"] .byte .value');
    const more = page.locator("#more");
    const text = "Up to thirty-two bytes are here.";
    for (const [said, left] of [[text.slice(0, 28), null], [text, null], [`${text}!`, "1 more byte"], [text.repeat(4), "96 more bytes"]]) {
      await say(page, "chat", said);
      await waitForFrame(page, said.length);
      const { masked } = await shownFrame(page);
      assert.equal((await pictured.allTextContents()).join(""), masked.slice(0, 64));
      assert.equal(await more.isVisible() ? await more.textContent() : null, left && `Payload Data goes on for ${left}`);
    }
  });
}

test("no field and no table counts below nothing", async () => {
  const { page } = await openPage();
  const summary = page.locator("#payload summary");
  assert.equal(await summary.count(), 0, "the five bytes of the example are all there");
  await say(page, "chat", "Yes: every bit in its place.");
  await waitForFrame(page, 28);
  assert.equal(await summary.textContent(), "Show the next 12 bytes");
  assert.doesNotMatch(await page.content(), /-\d+ (more )?bytes?/);
});

// ---- The end of a connection, and the way back -------------------------------------------------

test("the page says why the server closed, and comes back by itself", async () => {
  const { page, wire } = await openTappedPage();
  await say(page, "chat", "x".repeat(65_537));
  await byTestId(page, "chat-why").getByText("The connection was closed with 1009, message too big: “the chat takes at most 64 KiB”.").waitFor();
  assert.equal(await byTestId(page, "chat-name").textContent(), "not connected");
  assert.equal(await byTestId(page, "visitors").textContent(), "unknown");
  assert.match(await page.locator("#chat-again").textContent(), /^Again in \d+ s$/);
  assert.ok(await byTestId(page, "ping").isDisabled());
  await waitForChat(page);
  await byTestId(page, "visitors").getByText("1", { exact: true }).waitFor();
  assert.equal(wire().length, 2);
  await chip(page, "from the server: close").click();
  assert.equal(await byTestId(page, "close-reason").textContent(), "the chat takes at most 64 KiB");
});

test("a server that stops is waited for, longer each time, and found again", async () => {
  const ports = { resolution: await unusedPort(), works: await unusedPort() };
  let own = await startServer(ports);
  try {
    const { page } = await openPage({ url: `http://127.0.0.1:${ports.resolution}/?${new URLSearchParams({ resolution: own.addresses.resolution, works: own.addresses.works })}` });
    const attempts = [];
    page.on("websocket", (socket) => { if (socket.url().includes("/chat")) attempts.push(performance.now()); });
    await stopServer(own);
    const stoppedAt = performance.now();
    await byTestId(page, "chat-why").getByText(/^The connection (broke without a close frame \(1006\)|was closed with 1001)/).waitFor();
    assert.equal(await byTestId(page, "chat-name").textContent(), "not connected");
    assert.equal(await byTestId(page, "visitors").textContent(), "unknown");
    await byTestId(page, "resolution-ended").getByText(/^The connection/).waitFor();
    await byTestId(page, "chat-why").getByText("The server cannot be reached.").waitFor();
    while (attempts.length < 2) await page.waitForTimeout(50);
    const [first, second] = attempts;
    assert.ok(second - first > first - stoppedAt, `${first - stoppedAt} ms, then ${second - first} ms`);
    await byTestId(page, "chat-now").click();
    await byTestId(page, "chat-why").getByText("The server cannot be reached.").waitFor();
    own = await startServer(ports);
    await byTestId(page, "chat-now").click();
    await waitForChat(page);
    assert.equal(await byTestId(page, "chat-name").textContent(), "visitor 1", "as the new server calls it");
    await byTestId(page, "visitors").getByText("1", { exact: true }).waitFor();
    for (const name of ["resolution", "works"]) {
      await byTestId(page, `${name}-send`).and(page.locator(":enabled")).waitFor();
      assert.ok(await byTestId(page, `${name}-ended`).isHidden());
      await say(page, name, "again");
      await waitForLine(page, `${name}-log`, "returned");
    }
  } finally {
    await stopServer(own);
  }
});

// ---- What the page says ------------------------------------------------------------------------

for (const [size, options] of Object.entries({ laptop, phone })) {
  test(`on a ${size} a long message can be opened, and closed again`, async () => {
    const { page } = await openPage(options);
    const { page: other } = await openPage();
    await byTestId(page, "length-65536").click();
    const whole = "One frame, many bytes. ".repeat(65536).slice(0, 65536);
    for (const [reader, who] of [[page, `${await byTestId(page, "chat-name").textContent()} (you)`], [other, await byTestId(page, "chat-name").textContent()]]) {
      const line = byTestId(reader, "chat-log").locator("li");
      const cut = `${who}${whole.slice(0, 200)}… (65,536 bytes)`;
      await line.waitFor();
      assert.equal(await line.textContent(), cut);
      const toggle = line.getByRole("button", { name: "65,536 bytes" });
      await toggle.click();
      assert.equal(await toggle.getAttribute("aria-expanded"), "true");
      assert.equal(await line.textContent(), `${who}${whole}(65,536 bytes)`);
      await assertFitsWidth(reader);
      await toggle.click();
      assert.equal(await line.textContent(), cut);
    }
  });
}

test("the page says which server answers, with which library, and where to read on", async () => {
  const { page } = await openPage();
  const [language, file] = process.env.SERVER_CMD.includes("php") ? ["PHP", "examples/php/server.php"] : ["Python", "examples/python/server.py"];
  const version = readFileSync(path.join(root, "Cargo.toml"), "utf8").match(/^version = "(.*)"$/m)[1];
  const server = await byTestId(page, "server").textContent();
  assert.match(server, new RegExp(`^${language} \\d+\\.\\d+\\.\\d+\\S* with libwsframe ${version.replaceAll(".", "\\.")}$`));
  assert.equal(await byTestId(page, "library").textContent(), version);
  const files = await byTestId(page, "about").locator("code").allTextContents();
  assert.deepEqual(files, ["README.md", "docs/documents.md", "docs/performance.md", file]);
  for (const name of files) assert.ok(existsSync(path.join(root, name)), name);
});

test("what the documents are is said in one sentence", async () => {
  const { page } = await openPage();
  const said = await byTestId(page, "documents-meaning").textContent();
  assert.match(said.replace(/\s+/g, " "), /^“The documents” are two old tutorials, each of which builds a WebSocket server in PHP by hand [^.]*; libwsframe grew from them[^.]*\. /);
  const all = await page.locator("main").textContent();
  assert.ok(all.indexOf("“The documents” are") < all.indexOf("var ws ="), "before the first listing");
});

test("on a phone the picture is in sight after sending, below the form", async () => {
  const { page } = await openPage(phone);
  const inSight = () => page.waitForFunction(() => {
    const { top } = document.getElementById("drawing").getBoundingClientRect();
    const form = document.getElementById("chat-form").getBoundingClientRect();
    return form.top >= 0 && form.bottom < top && top < innerHeight * 0.62;
  });
  await byTestId(page, "chat-input").fill("Where is the picture?");
  await byTestId(page, "chat-send").tap();
  await waitForFrame(page, 21);
  await inSight();
  await page.evaluate(() => scrollTo(0, 0));
  await byTestId(page, "length-126").tap();
  await waitForFrame(page, 126);
  await inSight();
});

for (const colorScheme of ["light", "dark"]) {
  for (const [size, options] of Object.entries({ laptop, tablet, phone })) {
    test(`axe finds nothing on a ${colorScheme} ${size}`, async () => {
      const { page } = await openPage({ ...options, colorScheme, reducedMotion: "reduce" });
      const { page: other } = await openPage();
      await page.addScriptTag({ path: path.join(root, "tests/browser/node_modules/axe-core/axe.min.js") });
      const check = async (state) => {
        const { violations } = await page.evaluate(() => axe.run());
        assert.deepEqual(violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`)), [], state);
        await assertFitsWidth(page);
      };
      await check("at first");
      await say(other, "chat", "from another visitor");
      await byTestId(page, "length-65536").click();
      await waitForFrame(page, 65536);
      await waitForLine(page, "chat-log", "65,536 bytes");
      await say(page, "works", "Hello");
      await waitForLine(page, "works-log", "returned");
      await check("a long frame");
      await chip(page, "opening handshake").click();
      await byTestId(page, "accept-sha1").getByText(/../).waitFor();
      await check("the handshake");
      await byTestId(page, "compressed").check();
      await waitForChat(page);
      await byTestId(page, "length-126").click();
      await page.getByText(/^Your compressed text frame/).waitFor();
      await check("a compressed frame");
      await byTestId(page, "close").click();
      await byTestId(page, "chat-ended").waitFor();
      await check("after the end");
    });
  }
}
