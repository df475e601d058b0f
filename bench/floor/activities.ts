/** Activities that do nothing but count, so that their process knows how far its workflows have come. */
export function createFloorActivities() {
  let done = 0;
  return {
    activities: {
      doNothing(): Promise<void> {
        done += 1;
        return Promise.resolve();
      },
    },
    done: () => done,
  };
}

export type FloorActivities = ReturnType<typeof createFloorActivities>["activities"];
