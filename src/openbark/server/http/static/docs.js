// The server's own description of its API, made legible. Knows OpenAPI 3 as far as this server writes it.

const THEME = JSON.parse(localStorage.getItem("openbark.theme") || "null");
if (THEME) document.documentElement.dataset.theme = THEME;

function node(tag, text, ...inside) {
  const made = document.createElement(tag);
  if (text) made.textContent = text;
  made.append(...inside);
  return made;
}

function resolve(schema, description) {
  const name = schema?.$ref?.split("/").at(-1);
  return name ? description.components.schemas[name] : schema;
}

function typeOf(schema, description) {
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  const either = schema.anyOf || schema.oneOf;
  if (either) return either.map((each) => typeOf(each, description)).join(" | ");
  if (schema.$ref) return resolve(schema, description).title ?? schema.$ref.split("/").at(-1);
  if (schema.type === "array") return `list of ${typeOf(schema.items ?? {}, description)}`;
  return schema.format === "binary" ? "file" : (schema.type ?? "any");
}

function fields(rows, label) {
  const head = node("tr", "", ...["field", "type", "default", "what it is"].map((text) => node("th", text)));
  const table = node("table", "", node("thead", "", head), node("tbody", "", ...rows));
  const frame = node("div", "", table);
  frame.className = "wide";
  frame.tabIndex = 0;
  frame.setAttribute("role", "region");
  frame.setAttribute("aria-label", label);
  return frame;
}

function field(name, schema, needed, description, words = schema.description) {
  const usual = schema.default === undefined || schema.default === null ? "" : JSON.stringify(schema.default);
  const cells = [node("code", name), typeOf(schema, description), needed ? "needed" : usual, words ?? ""];
  return node("tr", "", ...cells.map((cell) => node("td", "", cell)));
}

function route(path, method, operation, description) {
  const title = `${method.toUpperCase()} ${path}`;
  const made = node("article", "", node("h2", "", node("code", title)), node("p", operation.description ?? ""));
  const rows = (operation.parameters ?? []).map((each) =>
    field(each.name, each.schema, each.required, description, each.description ?? each.schema.description),
  );
  for (const content of Object.values(operation.requestBody?.content ?? {})) {
    const body = resolve(content.schema, description);
    const needed = new Set(body.required ?? []);
    for (const [name, schema] of Object.entries(body.properties ?? {})) {
      rows.push(field(name, schema, needed.has(name), description));
    }
  }
  if (rows.length) made.append(fields(rows, `Fields of ${title}`));
  made.append(node("p", `answers: ${Object.keys(operation.responses).join(", ")}`));
  made.lastChild.className = "hint";
  return made;
}

const description = await (await fetch("/openapi.json")).json();
for (const [path, methods] of Object.entries(description.paths)) {
  for (const [method, operation] of Object.entries(methods)) {
    document.getElementById("routes").append(route(path, method, operation, description));
  }
}
