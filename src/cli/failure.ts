/**
 * Why a command ended without doing what it was asked. The exit code tells scripts: 1 something is wrong with the data
 * (the proof), 2 the command was used wrongly, 3 what it needs is not running or cannot be reached, 4 the API refused.
 */
export class CommandFailure extends Error {
  override readonly name = "CommandFailure";
  readonly exitCode: 1 | 2 | 3 | 4;
  /** What to do about it, where that is known. */
  readonly advice: string | null;

  constructor(exitCode: 1 | 2 | 3 | 4, message: string, advice: string | null = null) {
    super(message);
    this.exitCode = exitCode;
    this.advice = advice;
  }
}
