// What compresses and inflates in ws, the most used WebSocket package of Node.js, without its sockets.
//
//     peer.mjs turns LENGTH CONNECTIONS WINDOW    waits for "send 400" or "receive 400", does so many messages, and answers
//     peer.mjs memory CONNECTIONS MESSAGES WINDOW
//
// as `wsframe-bench memory` says it, where WINDOW is in bits, or "alone" for no takeover. BENCH_PROGRAM has the messages.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createInterface } from "node:readline";
import PerMessageDeflate from "./node_modules/ws/lib/permessage-deflate.js";

const MESSAGE_LENGTH = 1 << 10;

const [command, ...rest] = process.argv.slice(2);
await { turns, memory }[command](...rest);

async function turns(length, connections, window) {
  const messages = chat(length);
  const payloads = await compressed(messages, window);
  const mean = payloads.reduce((sum, payload) => sum + payload.length, 0) / payloads.length;
  const works = {
    send: work(many(connections, window), messages, compress),
    receive: work(many(connections, window), payloads, inflate),
  };
  console.log(JSON.stringify({ version: process.versions.node, size: mean }));
  for await (const line of createInterface({ input: process.stdin })) {
    const [name, count] = line.split(" ");
    await works[name](Number(count));
    console.log("done");
  }
}

// Gives each connection the next message, all at the same time, until there were so many.
function work(connections, inputs, one) {
  let at = 0;
  return async (count) => {
    for (let i = 0; i < count; i += connections.length) {
      const input = inputs[at];
      at = (at + 1) % inputs.length;
      await Promise.all(connections.map((connection) => one(connection, input)));
    }
  };
}

async function memory(count, messageCount, window) {
  const messages = chat(MESSAGE_LENGTH).slice(0, Number(messageCount));
  const payloads = await compressed(messages, window);
  const exchangeAll = async (count) => {
    const connections = many(count, window);
    for (const [at, message] of messages.entries()) {
      for (const connection of connections) {
        await inflate(connection, payloads[at]);
        await compress(connection, message);
      }
    }
    globalThis.gc();
    return connections;
  };
  const first = await exchangeAll(10);
  const before = process.memoryUsage.rss();
  const connections = await exchangeAll(Number(count));
  console.log(Math.round((process.memoryUsage.rss() - before) / connections.length));
  assert(first.length < connections.length);
}

function chat(length) {
  const printed = execFileSync(process.env.BENCH_PROGRAM, ["chat", String(length)], { maxBuffer: 1 << 24 });
  return printed.toString().trimEnd().split("\n").map((line) => Buffer.from(line));
}

function many(count, window) {
  return Array.from({ length: Number(count) }, () => server(window));
}

function server(window) {
  const alone = window === "alone";
  const bits = alone ? 12 : Number(window);
  const deflate = new PerMessageDeflate({
    isServer: true,
    serverNoContextTakeover: alone,
    clientNoContextTakeover: alone,
    serverMaxWindowBits: bits,
    clientMaxWindowBits: bits,
  });
  deflate.accept([{ client_max_window_bits: [true] }]);
  return deflate;
}

// What a client would send; both directions are agreed on alike.
async function compressed(messages, window) {
  const [from, to] = [server(window), server(window)];
  const payloads = [];
  for (const message of messages) {
    const payload = await compress(from, message);
    assert(message.equals(await inflate(to, payload)));
    payloads.push(payload);
  }
  return payloads;
}

function compress(connection, message) {
  return new Promise((resolve, reject) => {
    connection.compress(message, true, (error, payload) => (error ? reject(error) : resolve(payload)));
  });
}

function inflate(connection, payload) {
  return new Promise((resolve, reject) => {
    connection.decompress(payload, true, (error, message) => (error ? reject(error) : resolve(message)));
  });
}
