// Builds the page into the Python package: the bundle, its licences, and the digests of its sources.
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as esbuild from "esbuild";

const TO = "../src/tramontane_plugin_web/static";
const MOST = 400_000;
// of temml, what finds math in whole pages: this page finds it in Markdown
const LEFT_OUT = {
  name: "left-out",
  setup(build) {
    build.onLoad({ filter: /temml[\\/]src[\\/](auto-render|postProcess)\.js$/ }, () => ({
      contents: "export const renderMathInElement = null, postProcess = null, version = '';",
    }));
  },
};
const OPTIONS = {
  entryPoints: { app: "src/main.ts" },
  outdir: TO,
  bundle: true,
  minify: true,
  format: "esm",
  target: ["es2022", "chrome123", "firefox125", "safari17.5"],
  charset: "utf8",
  legalComments: "none",
  loader: { ".woff2": "file" },
  assetNames: "[name]",
  plugins: [LEFT_OUT],
  metafile: true,
  logLevel: "info",
};

function sources() {
  const found = ["package.json", "package-lock.json", "tsconfig.json", "build.mjs", "index.html", "icon.svg"];
  for (const folder of ["src", "style"]) {
    for (const each of readdirSync(folder, { recursive: true, withFileTypes: true })) {
      if (each.isFile()) found.push(join(each.parentPath, each.name));
    }
  }
  return found.sort();
}

function digest(path) {
  return createHash("sha256").update(readFileSync(path)).digest("hex");
}

function licences(inputs) {
  const packages = new Set();
  for (const path of Object.keys(inputs)) {
    const match = path.match(/node_modules\/((?:@[^/]+\/)?[^/]+)\//);
    if (match) packages.add(match[1]);
  }
  const parts = [...packages].sort().map((name) => {
    const folder = join("node_modules", name);
    const about = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    const file = ["LICENSE", "LICENSE.md", "LICENSE.txt", "license"].find((each) => existsSync(join(folder, each)));
    if (!file) throw new Error(`${name} has no licence file`);
    return `${name} ${about.version} (${about.license})\n\n${readFileSync(join(folder, file), "utf8").trim()}\n`;
  });
  return `The page contains these packages.\n\n${parts.join(`\n${"=".repeat(79)}\n\n`)}`;
}

if (process.argv.includes("--watch")) {
  const context = await esbuild.context({ ...OPTIONS, minify: false });
  await context.watch();
} else {
  for (const name of readdirSync(TO)) rmSync(join(TO, name));
  const { metafile } = await esbuild.build(OPTIONS);
  for (const name of ["index.html", "icon.svg"]) copyFileSync(name, join(TO, name));
  writeFileSync(join(TO, "licences.txt"), licences(metafile.inputs));
  const size = ["app.js", "app.css"].map((name) => readFileSync(join(TO, name)).length).reduce((a, b) => a + b);
  console.log(`${size} bytes`);
  if (size >= MOST) throw new Error(`${size} bytes of bundle: ${MOST} at most`);
  const built = Object.fromEntries(readdirSync(TO).sort().map((name) => [name, digest(join(TO, name))]));
  const told = { sources: Object.fromEntries(sources().map((path) => [path, digest(path)])), built };
  writeFileSync("../src/tramontane_plugin_web/bundle.json", `${JSON.stringify(told, null, 1)}\n`);
}
