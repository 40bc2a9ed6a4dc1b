#!/usr/bin/env bash
# Teachable Machine's library (@teachablemachine/image 0.8.5 on @tensorflow/tfjs 1.3.1) trains on no picture at all
# where each class has one, and says so nowhere: of every class 15 % of the pictures, rounded up, are held out, which of
# one is this one. train() is fulfilled, and what it gives is the head as it was drawn at random, whose validation
# accuracy is told as of any other.
#
# Seen: pictures trained on and held out, of two classes with 1, 2 and 5 pictures each: 0 and 2, 2 and 2, 8 and 2; the
# log of each epoch has val_acc in all cases and loss in the last two.
#
# The network in front is a stand-in, as its weights are on another site; what is trained does not depend on it.
# Exits with 1 when that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
packages=(@teachablemachine/image@0.8.5 @tensorflow/tfjs@1.3.1)
npm install --silent --no-save --no-audit --no-fund --ignore-scripts "${packages[@]}"
cat > seen.cjs <<'JS'
console.warn = () => {}; // that tfjs has a faster back end for Node
const tf = require('@tensorflow/tfjs');
const { version } = require('@teachablemachine/image/package.json');
const { TeachableMobileNet } = require('@teachablemachine/image/dist/teachable-mobilenet.js');

async function seen(pictures) {
  const network = tf.sequential({ layers: [tf.layers.averagePooling2d({ inputShape: [224, 224, 3], poolSize: 32 })] });
  const model = new TeachableMobileNet(network, { labels: [] });
  model.setLabels(['dark', 'light']);
  for (let i = 0; i < pictures; i++)
    for (const label of [0, 1]) await model.addExample(label, tf.fill([1, 224, 224, 3], label - 0.5));
  const logs = [];
  const settings = { denseUnits: 100, epochs: 2, learningRate: 0.001, batchSize: 16 };
  await model.train(settings, { onEpochEnd: (epoch, log) => logs.push(log) });
  const count = async (set) => (await set.toArray()).length;
  const counts = [await count(model.trainDataset), await count(model.validationDataset)];
  return [...counts, 'loss' in logs[0], 'val_acc' in logs[0], model.model !== undefined];
}

(async () => {
  const found = [];
  for (const pictures of [1, 2, 5]) {
    const [trained, heldOut, loss, accuracy, isTrained] = await seen(pictures);
    console.log(
      `@teachablemachine/image ${version}, ${pictures} of a class: trained on ${trained}, held out ${heldOut}, ` +
        `loss ${loss ? 'told' : 'not told'}, validation accuracy ${accuracy ? 'told' : 'not told'}`,
    );
    found.push([trained, heldOut, loss, accuracy, isTrained].join());
  }
  const wanted = ['0,2,false,true,true', '2,2,true,true,true', '8,2,true,true,true'];
  process.exitCode = found.join(' ') === wanted.join(' ') ? 0 : 1;
})();
JS
node seen.cjs
