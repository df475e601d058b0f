export interface Summary {
  readonly seconds: number;
  readonly apiUrl: string;
  readonly temporalUiUrl: string | null;
  readonly temporalNamespace: string;
  readonly simulatorUrl: string | null;
  /** Null when the demo was not seeded. */
  readonly demo: { readonly accounts: readonly string[]; readonly password: string } | null;
  readonly logFolder: string;
}

/** What a person sees when everything is up: where to go, how to log in, how to stop. */
export function describeStart(summary: Summary): string {
  const { apiUrl, temporalUiUrl, temporalNamespace, simulatorUrl, demo } = summary;
  const rows: (readonly [string, string])[] = [
    ["API, with its documentation", `${apiUrl}/docs`],
    ...(temporalUiUrl === null ? [] : temporalRows(temporalUiUrl, temporalNamespace)),
    ...(simulatorUrl === null ? [] : [["TikTok Shop simulator", `${simulatorUrl}/`] as const]),
    ...(demo === null
      ? []
      : ([
          ["Log in as", demo.accounts.join(", ")],
          ["Password", demo.password],
        ] as const)),
    ["Command line", "npm run cli -- --help"],
    ["Logs", summary.logFolder],
    ["Stop", "Ctrl-C; the next start goes on where this one ended"],
  ];
  const width = Math.max(...rows.map(([label]) => label.length));
  return [
    "",
    `CreatorFlow is up after ${summary.seconds.toFixed(1)} s.`,
    "",
    ...rows.map(([label, value]) => `  ${label.padEnd(width)}  ${value}`),
    "",
  ].join("\n");
}

function temporalRows(uiUrl: string, namespace: string): (readonly [string, string])[] {
  const workflows = `${uiUrl}/namespaces/${encodeURIComponent(namespace)}/workflows`;
  return [
    ["Temporal Web UI", workflows],
    ["  orders that need a person", `${workflows}?query=${encodeURIComponent("CfNeedsAttention=true")}`],
  ];
}
