// The official JavaScript clients, unchanged: what they make of archrun's replies, as one line of JSON.
//
//   node clients.mjs openai|anthropic|responses URL MODEL

import { createRequire } from "node:module";

const require = createRequire(process.env.ARCHFLOW_NODE_MODULES + "/");
const [, , which, url, model] = process.argv;
const parameters = { type: "object", properties: { city: { type: "string" }, days: { type: "integer" } } };

async function chat() {
  const { OpenAI } = require("openai");
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "-", maxRetries: 0 });
  const tools = [{ type: "function", function: { name: "weather", description: "d", parameters } }];
  const messages = [{ role: "user", content: "Hello there" }];
  const stream = client.chat.completions.stream({ model, messages, tools });
  const first = await stream.finalMessage();
  const call = first.tool_calls[0];
  messages.push(first, { role: "tool", tool_call_id: call.id, content: "rain" });
  const second = await client.chat.completions.create({ model, messages, tools });
  return { call: [call.function.name, JSON.parse(call.function.arguments)], text: second.choices[0].message.content };
}

async function anthropic() {
  const { default: Anthropic } = require("@anthropic-ai/sdk");
  const client = new Anthropic({ baseURL: url, apiKey: "-", maxRetries: 0 });
  const tools = [{ name: "weather", description: "d", input_schema: parameters }];
  const messages = [{ role: "user", content: "Hello there" }];
  const first = await client.messages.stream({ model, max_tokens: 99, messages, tools }).finalMessage();
  const call = first.content.find((block) => block.type === "tool_use");
  messages.push({ role: "assistant", content: first.content });
  messages.push({ role: "user", content: [{ type: "tool_result", tool_use_id: call.id, content: "rain" }] });
  const second = await client.messages.create({ model, max_tokens: 99, messages, tools });
  return { call: [call.name, call.input], text: second.content.at(-1).text };
}

async function responses() {
  const { OpenAI } = require("openai");
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "-", maxRetries: 0 });
  const tools = [{ type: "function", name: "weather", description: "d", parameters, strict: false }];
  const input = [{ role: "user", content: "Hello there" }];
  const first = await client.responses.stream({ model, input, tools, store: false }).finalResponse();
  const call = first.output.find((item) => item.type === "function_call");
  input.push(...first.output, { type: "function_call_output", call_id: call.call_id, output: "rain" });
  const second = await client.responses.create({ model, input, tools, store: false });
  return { call: [call.name, JSON.parse(call.arguments)], text: second.output_text };
}

console.log(JSON.stringify(await { openai: chat, anthropic, responses }[which]()));
