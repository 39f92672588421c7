// What this isolate has spent, for the tests of what the Worker costs.
export const spent = { rows: 0, alarms: 0, waiting: 0 };
