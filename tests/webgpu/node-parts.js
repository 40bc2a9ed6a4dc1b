/** As much of Node's fs and path as the golden files' reader uses, in a worker: files of the page's site, at once. */
export function readFileSync(file, encoding) {
  const request = new XMLHttpRequest();
  request.open('GET', file, false);
  if (!encoding) request.responseType = 'arraybuffer';
  request.send();
  if (request.status !== 200) throw new Error(`${file} was answered with ${request.status}`);
  return encoding ? request.responseText : request.response;
}

export function existsSync(file) {
  const request = new XMLHttpRequest();
  request.open('HEAD', file, false);
  request.send();
  return request.status === 200;
}

const join = (...parts) => parts.join('/');
export default { join };
