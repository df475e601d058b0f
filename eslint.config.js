import tseslint from "typescript-eslint";

/**
 * Who may import whom. One row a layer: what it may reach besides itself, and why the rest is closed to it.
 * A path in `may` is a prefix below src/ ("integrations/ports" opens that folder only).
 */
const layers = {
  domain: {
    may: [],
    why: "the domain is pure: it knows nothing of the outside, so that every decision can be tested without anything running",
  },
  workflows: {
    may: ["domain", "activities"],
    why: "workflow code is replayed: it may use the domain, and activities as types only, nothing that does I/O",
  },
  activities: {
    may: [
      "coalescer",
      "crash-points",
      "sku-entity",
      "domain",
      "integrations/ports",
      "db",
      "workflows/messages",
      "workflows/addressing",
    ],
    why: "activities are thin: they reach other systems through ports, and workflows only through their messages and ids",
  },
  integrations: {
    may: ["crash-points", "domain"],
    why: "an adapter speaks to one system; what it offers to us is the port, never another adapter",
  },
  db: {
    may: ["coalescer", "crash-points", "domain"],
    why: "tables serve everyone and know no one: rows and wire shapes stay in their folder",
  },
  api: {
    may: [
      "crash-points",
      "met-its-end",
      "sku-entity",
      "domain",
      "workflows/messages",
      "workflows/addressing",
      "integrations/tiktok-shop/webhooks",
      "db/read-models",
      "db/webhook-deliveries",
      "db/users",
      "db/seller-settings",
      "db/refresh-tokens",
      "db/signing-keys",
      "db/idempotency-keys",
      "db/audit-log",
      "db/drifts",
      "db/offer-settings",
      "db/alerts",
      "db/notification-preferences",
      "db/thresholds",
      "db/connection",
      "db/tenant",
      "db/approvals",
      "db/bulk-operations",
      "db/sku-settings",
    ],
    why: "the API is thin: it reads read-models, signals workflows, writes down what workflows are asked for, and owns only users, keys, sessions, settings, and what people decide about offers and say of alerts",
  },
  intake: {
    may: [
      "crash-points",
      "sku-entity",
      "domain",
      "db",
      "integrations/ports",
      "workflows/messages",
      "workflows/addressing",
    ],
    why: "the dispatcher turns rows into snapshots and signals; channels are behind their port",
  },
  proof: {
    may: ["db", "integrations/ports"],
    why: "the proof looks from outside: it must not share code with what it checks",
  },
  cli: {
    may: ["api/contract", "db/migrate", "proof"],
    why: "the command line is a client of the API; only migrations and the proof go to the database",
  },
  simulator: {
    may: [],
    why: "the simulator is the other side: it shares nothing with the product, so that a mistake in ours cannot hide",
  },
  embedded: {
    may: ["config", "logger", "db/migrate"],
    why: "zero set-up starts processes; it contains no product logic",
  },
};
const sharedWiring = [
  "coalescer",
  "crash-points",
  "config",
  "environment",
  "logger",
  "met-its-end",
  "metrics",
  "sku-entity",
  "sticky-queues",
  "temporal",
  "workers",
];

/** Entry points connect parts and may import anything. */
const entryPoints = [
  "worker.ts",
  "src/api/server.ts",
  "src/cli/main.ts",
  "src/simulator/server.ts",
  "src/embedded/start.ts",
  "src/embedded/demo.ts",
];

const climbTo = (target) => `^(?:\\.\\./)+${target.replaceAll("/", "\\/")}(?:\\/|\\.ts$)`;

function importRule(layer, { may, why }, extraPatterns = []) {
  const closed = [...Object.keys(layers), ...sharedWiring].filter(
    (other) => other !== layer && !may.includes(other),
  );
  const patterns = closed.map((other) => {
    const open = may
      .filter((path) => path.startsWith(`${other}/`))
      .map((path) => path.slice(other.length + 1));
    const except = open.length > 0 ? `(?!${open.map((path) => `${path}(?:\\/|\\.ts$)`).join("|")})` : "";
    return {
      regex: `^(?:\\.\\./)+${other}(?:\\/${except}|\\.ts$)`,
      message: `${layer} may not import ${other}: ${why}.`,
    };
  });
  return ["error", { patterns: [...patterns, ...extraPatterns] }];
}

const nodeBuiltIns = (why) => ({ regex: "^(node:|fs$|path$|crypto$|http$|os$)", message: why });
const packagesExcept = (allowed, why) => ({
  regex: `^(?!\\.)(?!node:)(?!(?:${allowed.join("|")})(?:\\/|$))`,
  message: why,
});

const layerConfigs = Object.entries(layers).map(([layer, rule]) => ({
  files: [`src/${layer}/**/*.ts`],
  ignores: entryPoints,
  rules: {
    "no-restricted-imports": importRule(
      layer,
      rule,
      layer === "domain"
        ? [
            nodeBuiltIns("domain is pure: no Node built-ins."),
            packagesExcept(["NO_PACKAGE"], "domain is pure: no packages."),
          ]
        : layer === "workflows"
          ? [
              nodeBuiltIns("workflow code is replayed in a sandbox: no Node built-ins."),
              packagesExcept(
                ["@temporalio/workflow", "@temporalio/common"],
                "workflow code is replayed: only the Temporal workflow library.",
              ),
            ]
          : [],
    ),
  },
}));

export default tseslint.config(
  { ignores: ["dist", "node_modules", "coverage", ".creatorflow", "**/*.generated.ts"] },
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: {
      parserOptions: {
        projectService: { allowDefaultProject: ["eslint.config.js"] },
        tsconfigRootDir: import.meta.dirname,
      },
    },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      "@typescript-eslint/no-floating-promises": "error",
      "@typescript-eslint/switch-exhaustiveness-check": [
        "error",
        { considerDefaultExhaustiveForUnions: true, requireDefaultForNonUnion: true },
      ],
      "@typescript-eslint/consistent-type-imports": "error",
      "@typescript-eslint/restrict-template-expressions": [
        "error",
        { allowNumber: true, allowBoolean: true },
      ],
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
      "@typescript-eslint/no-unnecessary-condition": ["error", { allowConstantLoopConditions: true }],
      "no-restricted-properties": [
        "error",
        { object: "process", property: "env", message: "The environment is read in src/config.ts alone." },
      ],
    },
  },
  ...layerConfigs,
  {
    files: ["src/workflows/**/*.ts"],
    rules: {
      "@typescript-eslint/consistent-type-imports": ["error", { fixStyle: "separate-type-imports" }],
    },
  },
  {
    files: ["src/workflows/**/*.ts"],
    rules: {
      "@typescript-eslint/no-restricted-imports": [
        "error",
        {
          patterns: [
            {
              regex: climbTo("activities"),
              allowTypeImports: true,
              message: "Activities are types to a workflow: their code never enters the bundle.",
            },
          ],
        },
      ],
    },
  },
  {
    files: ["src/**/*.ts"],
    rules: {
      "no-restricted-syntax": [
        "error",
        {
          selector: "CallExpression[callee.property.name=/^(selectAll|returningAll)$/]",
          message: 'Name the columns: a prepared statement fails when a migration changes what "all" means.',
        },
      ],
    },
  },
  {
    files: ["src/domain/**/*.ts"],
    rules: {
      "no-restricted-globals": [
        "error",
        "fetch",
        "setTimeout",
        "setInterval",
        "process",
        "console",
        "Buffer",
      ],
      "no-restricted-properties": [
        "error",
        { object: "Date", property: "now", message: "The domain is told the time." },
        { object: "Math", property: "random", message: "The domain knows no chance." },
      ],
      "no-restricted-syntax": [
        "error",
        {
          selector: "NewExpression[callee.name='Date'][arguments.length=0]",
          message: "The domain is told the time.",
        },
        {
          selector: ":function[async=true]",
          message: "The domain is synchronous: it decides, it does not wait.",
        },
      ],
    },
  },
  {
    files: ["src/config.ts", "test/**/*.ts", "vitest.config.ts"],
    rules: { "no-restricted-properties": "off" },
  },
  {
    files: ["test/**/*.ts"],
    rules: {
      "@typescript-eslint/no-non-null-assertion": "off",
      "@typescript-eslint/no-unsafe-assignment": "off",
      "@typescript-eslint/no-unsafe-member-access": "off",
    },
  },
  { files: ["eslint.config.js"], ...tseslint.configs.disableTypeChecked },
);
