import pLimit from "p-limit";

/**
 * Gathers what many callers ask of one place and sends it as few calls: the first caller's question goes after a short
 * wait, and while its answer is under way everybody else's gathers for the next call. So there is at most one call (or as
 * many as are allowed) under way for each key in this process, however many ask.
 */
export interface CoalescerOptions<Item, Answer> {
  /** Items that one call may carry. */
  readonly itemsMaximum: number;
  /** Size that one call may have, in the unit of `sizeOf`. */
  readonly sizeMaximum?: number;
  readonly sizeOf?: (item: Item) => number;
  /** Calls for one key that may be under way at a time; one unless told. */
  readonly callsMaximum?: number;
  /** Calls for all keys that may be under way at a time; as many as there are unless told. What waits for its turn gathers. */
  readonly callsInAllMaximum?: number;
  /** Milliseconds that the first item waits for company. */
  readonly lingerMilliseconds: number;
  /** Sends one call; the answers come in the order of the items. */
  readonly send: (key: string, items: readonly Item[]) => Promise<readonly Answer[]>;
}

export type Coalescer<Item, Answer> = (key: string, item: Item) => Promise<Answer>;

interface Waiting<Item, Answer> {
  readonly item: Item;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}

export function createCoalescer<Item, Answer>(
  options: CoalescerOptions<Item, Answer>,
): Coalescer<Item, Answer> {
  const queues = new Map<string, Queue<Item, Answer>>();
  const callsMaximum = options.callsMaximum ?? 1;
  const inTurn = pLimit(options.callsInAllMaximum ?? Number.POSITIVE_INFINITY);

  async function drain(key: string, queue: Queue<Item, Answer>): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, options.lingerMilliseconds));
    while (queue.waiting.length > 0) await inTurn(() => sendGroup(key, takeGroup(queue.waiting, options)));
    queue.drains -= 1;
    if (queue.drains === 0) queues.delete(key);
  }

  async function sendGroup(key: string, group: readonly Waiting<Item, Answer>[]): Promise<void> {
    // Another call of the key may have taken all that waited when this one's turn came.
    if (group.length === 0) return;
    try {
      const answers = await options.send(
        key,
        group.map(({ item }) => item),
      );
      if (answers.length !== group.length) {
        throw new Error(`${key}: ${answers.length} answers to ${group.length} questions`);
      }
      group.forEach(({ resolve }, index) => {
        resolve(answers[index] as Answer);
      });
    } catch (error) {
      for (const { reject } of group) reject(error);
    }
  }

  return (key, item) =>
    new Promise<Answer>((resolve, reject) => {
      const queue = queues.get(key) ?? { waiting: [], drains: 0 };
      queues.set(key, queue);
      queue.waiting.push({ item, resolve, reject });
      if (queue.drains === callsMaximum) return;
      queue.drains += 1;
      void drain(key, queue);
    });
}

interface Queue<Item, Answer> {
  readonly waiting: Waiting<Item, Answer>[];
  /** Calls under way, and those that wait for company. */
  drains: number;
}

/** As many as fit, at least one. */
function takeGroup<Item, Answer>(
  queue: Waiting<Item, Answer>[],
  { itemsMaximum, sizeMaximum = Number.POSITIVE_INFINITY, sizeOf = () => 0 }: CoalescerOptions<Item, Answer>,
): Waiting<Item, Answer>[] {
  let size = 0;
  let count = 0;
  for (const { item } of queue) {
    size += sizeOf(item);
    if (count > 0 && (count >= itemsMaximum || size > sizeMaximum)) break;
    count += 1;
  }
  return queue.splice(0, count);
}
