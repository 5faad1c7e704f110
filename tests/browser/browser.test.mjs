// A real browser against an example server. SERVER_CMD says which one, run from the repository's root:
//   SERVER_CMD="php examples/php/server.php" npm test
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import net from "node:net";
import path from "node:path";
import readline from "node:readline";
import { after, afterEach, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const root = fileURLToPath(new URL("../..", import.meta.url));
const artifacts = path.resolve(root, process.env.ARTIFACTS ?? "target/artifacts");
const laptop = { viewport: { width: 1280, height: 800 } };
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

async function startServer() {
  assert.ok(process.env.SERVER_CMD, 'set SERVER_CMD, for example "python3 examples/python/server.py"');
  const [program, ...words] = process.env.SERVER_CMD.split(" ").filter(Boolean);
  server = spawn(program, [...words, "--resolution-port", "0", "--works-port", "0"],
    { cwd: root, stdio: ["ignore", "pipe", "inherit"] });
  server.on("error", (error) => { throw error; });
  addresses = await readAddresses(server);
  // A full pipe would stop the server.
  server.stdout.resume();
}

async function stopServer() {
  if (!server || server.exitCode !== null || server.signalCode !== null) return;
  const ended = once(server, "exit");
  server.kill("SIGTERM");
  const impatient = setTimeout(() => server.kill("SIGKILL"), 3000);
  await ended;
  clearTimeout(impatient);
}

before(async () => {
  mkdirSync(artifacts, { recursive: true });
  await startServer();
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
  await stopServer();
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

// The head of one direction, and the first bytes of the frames behind it: a reader that is not libwsframe's.
function readWire(pieces) {
  const bytes = Buffer.concat(pieces);
  const end = bytes.indexOf("\r\n\r\n") + 4;
  const firstBytes = [];
  for (let at = end; at < bytes.length;) {
    firstBytes.push(bytes[at]);
    const masked = bytes[at + 1] & 0x80;
    let length = bytes[at + 1] & 0x7f;
    at += 2;
    if (length === 126) length = bytes.readUInt16BE((at += 2) - 2);
    else if (length === 127) length = Number(bytes.readBigUInt64BE((at += 8) - 8));
    at += (masked ? 4 : 0) + length;
    assert.ok(at <= bytes.length, "it ends inside a frame");
  }
  return { head: bytes.subarray(0, end).toString(), firstBytes };
}

const isCompressed = (firstByte) => (firstByte & 0x40) !== 0;
const dataFrames = (firstBytes) => firstBytes.filter((firstByte) => (firstByte & 0x08) === 0);

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
      if (JSON.parse(data).type === type) resolve();
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
