// Looks at an HTML page in headless Chromium, on a screen and on paper, and asks axe-core what nobody could read.
//
// node look.mjs FOLDER CHROMIUM < request > answer. FOLDER has node_modules/. Request: {"page": file, "width": pixels,
// "print": true for paper, "screenshot": file or "", "pdf": file or ""}. Answer: {"overflow": pixels wider than the
// screen, "asked": addresses that the page asked for, "errors": what it complained of, "violations": [[rule of
// axe-core, how bad, element]], "passed": rules that held, "charts": [[name, has words, rows of the next table]],
// "reached": elements that the keyboard reaches}.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [folder, executablePath] = process.argv.slice(2);
const require = createRequire(resolve(folder, "node_modules", "x"));
const { chromium } = require("playwright-core");
const { page: file, width, print, screenshot, pdf } = JSON.parse(readFileSync(0, "utf8"));

// A chart is followed by a table with the same numbers, before anything else is drawn.
function charts() {
  return [...document.querySelectorAll("svg")].map((drawing) => {
    const after = [...document.querySelectorAll("svg, table")].filter(
      (other) => drawing.compareDocumentPosition(other) & Node.DOCUMENT_POSITION_FOLLOWING,
    );
    const next = after[0];
    const words = drawing.querySelector("title")?.textContent && drawing.querySelector("desc")?.textContent;
    return [drawing.querySelector("title")?.textContent ?? "", Boolean(words), next?.rows?.length ?? 0];
  });
}

const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"], timeout: 150_000 });
try {
  const page = await browser.newPage({ viewport: { width, height: 900 } });
  page.setDefaultTimeout(150_000); // the machine may be busy with servers
  const [asked, errors] = [[], []];
  page.on("request", (request) => request.url().startsWith("file:") || asked.push(request.url()));
  page.on("pageerror", (error) => errors.push(error.message));
  await page.emulateMedia({ media: print ? "print" : "screen", colorScheme: "light" });
  await page.goto(pathToFileURL(resolve(file)).href);
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  if (screenshot) {
    await page.screenshot({ path: screenshot, fullPage: true });
  }
  if (pdf) {
    await page.pdf({ path: pdf, preferCSSPageSize: true, printBackground: true });
  }
  const found = await page.evaluate(charts);
  const focusable = await page.evaluate(() => document.querySelectorAll("[tabindex='0']").length);
  await page.addScriptTag({ path: require.resolve("axe-core/axe.min.js") });
  const verdict = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
  const answer = {
    overflow,
    asked,
    errors,
    violations: verdict.violations.flatMap((rule) =>
      rule.nodes.map((node) => [rule.id, rule.impact, node.target.join(" ")]),
    ),
    passed: verdict.passes.map((rule) => rule.id),
    charts: found,
    reached: focusable,
  };
  process.stdout.write(JSON.stringify(answer));
} finally {
  await browser.close();
}
