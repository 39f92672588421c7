/** The queue did not carry the call out; nothing changed. `code` says why. */
export class Refused extends Error {
  name = 'Refused';

  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/** The storage failed: the change may be there or not. Afterwards the queue is as the storage has it. */
export class OutcomeUnknown extends Error {
  name = 'OutcomeUnknown';
  code = 'outcome-unknown';

  constructor(cause) {
    super('Outcome unknown: the change may or may not have happened', { cause });
  }
}
