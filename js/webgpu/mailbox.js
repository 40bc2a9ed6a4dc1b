/** The few bytes of shared memory through which a call to the device's thread is answered. */
export const LAYOUT = Object.freeze({
  /** Places in an Int32Array: 1 while the thread works, 0 when it has answered. */
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
