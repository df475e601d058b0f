import type { RunningProcess } from "./processes.ts";

/** In which order parts stop: who works first, what they stand on last. */
const stopOrder = ["work", "support", "ground"] as const;
type StopStage = (typeof stopOrder)[number];

export interface Stack {
  /** Watches a process and stops it with the others. */
  add(process: RunningProcess, stage: StopStage): void;
  /** Rejects when a process ends that nobody asked to; never resolves. */
  readonly broken: Promise<never>;
  /** Stops everything, stage by stage. Safe to call again. */
  stop(): Promise<void>;
}

/** The processes of one start: they live together and end together. */
export function createStack(): Stack {
  const members: { readonly process: RunningProcess; readonly stage: StopStage }[] = [];
  let stopping = false;
  let breakUp: (error: Error) => void;
  const broken = new Promise<never>((_resolve, reject) => {
    breakUp = reject;
  });
  // Whoever waits for it hears of it; before that it must not end us as an unhandled rejection.
  broken.catch(() => undefined);

  return {
    broken,
    add(process, stage) {
      members.push({ process, stage });
      // Came up while the others were already going down.
      if (stopping) void process.stop();
      void process.ended.then((how) => {
        if (!stopping) breakUp(new Error(describeEnd(process, how)));
      });
    },
    async stop() {
      stopping = true;
      for (const stage of stopOrder) {
        await Promise.all(
          members.filter((member) => member.stage === stage).map(({ process }) => process.stop()),
        );
      }
    },
  };
}

function describeEnd(process: RunningProcess, how: string): string {
  const lines = process.lastLines().slice(-15);
  const words = lines.length === 0 ? "It printed nothing." : `Its last lines:\n  ${lines.join("\n  ")}`;
  return `${process.name} ended unexpectedly (${how}). ${words}`;
}
