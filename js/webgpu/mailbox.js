/** The few bytes of shared memory through which a call to the device's thread is answered. */
export const STATE = Object.freeze({ ANSWERED: 0, ASKED: 1, GIVEN_UP: 2, WRITING: 3 });
export const LAYOUT = Object.freeze({
  /** Places in an Int32Array. */
  state: 0,
  result: 1,
  length: 2,
  /** Bytes. */
  text: 32,
  textBytes: 480,
  countsAt: 512,
  counts: Object.freeze(['submissions', 'roundTrips', 'bytesUp', 'bytesDown', 'flop']),
  bytes: 1024,
});
