/**
 * Every word on the page, but those of views that few open (late-strings.js) and of what it exports (own-page.js).
 */
const percent = (share) => `${Math.round(100 * share)} %`;
const plural = (count, one, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;
const megabytes = (bytes) => (bytes < 9.95e6 ? `${(bytes / 1e6).toFixed(1)} MB` : `${Math.round(bytes / 1e6)} MB`);

/** @param {number} ms */
function duration(ms) {
  const seconds = Math.max(1, Math.round(ms / 1000));
  if (seconds < 90) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? `${minutes} min` : `${(minutes / 60).toFixed(1)} h`;
}

/** Names of files: a few, and how many more. @param {{ name?: string }[]} files */
const some = (files) => {
  const names = files.slice(0, 3).map(({ name }) => name || 'a picture');
  const more = files.length - names.length;
  return more ? `${names.join(', ')} and ${more} more` : names.join(', ').replace(/, ([^,]*)$/, ' and $1');
};

export const format = { percent, plural, megabytes, duration };

export const text = {
  title: 'Teach CLIP your classes',
  tagline: 'A few pictures each, a few seconds, right here.',
  privacy: 'Pictures never leave this page.',
  skip: 'Skip to the content',
  close: 'Close',
  cancel: 'Cancel',
  retry: 'Try again',
  undo: {
    label: 'Undo',
    last: (what) => `Undo: ${what}`,
    again: (what) => `Redo: ${what}`,
    added: 'A class was added',
    renamed: (name) => (name ? `Renamed to ${name}` : 'The name was removed'),
    held: (held) => (held ? 'A picture was held out' : 'A picture is trained on'),
    training: 'The training',
  },
  views: { pictures: 'Pictures', train: 'Train', compare: 'Compare', inside: 'Inside', keep: 'Keep' },
  viewsLabel: 'Views',
  theme: { label: 'Colours', auto: 'as the device', light: 'light', dark: 'dark' },
  before: 'Before',
  after: 'After',

  score: {
    label: 'How many held-out pictures are named rightly',
    none: '–',
    of: (right, count) => `${right} of ${plural(count, 'picture')} right`,
    waiting: 'looking at the pictures …',
    looking: (count, total) => `${count} of ${total} looked at`,
    noClasses: 'Name two classes to begin',
    untrained: 'Two pictures to begin',
    training: (epoch, epochs) => `epoch ${epoch} of ${epochs}`,
    points: (points) => `${points > 0 ? '+' : points < 0 ? '−' : '±'}${Math.abs(points)} points`,
  },

  model: {
    button: 'Choose a model',
    title: 'Model',
    intro: 'What knows the world before you teach it anything. Everything runs on this device.',
    names: {
      pictoclip: 'pictoclip',
      'tiny-clip': 'TinyCLIP 8M/16',
      'vit-b-32': 'CLIP ViT-B/32',
      'vit-b-16': 'CLIP ViT-B/16',
    },
    about: {
      pictoclip: 'Built in. Knows pictograms such as emoji and icons, nothing else. Made to train in seconds.',
      'tiny-clip':
        'A small CLIP of Microsoft’s. Knows photographs of everyday things, and is soon here and soon trained.',
      'vit-b-32': "OpenAI's CLIP. Knows photographs, drawings, nearly everything. The faster of its two.",
      'vit-b-16': "OpenAI's CLIP. Sees finer detail and takes about four times as long.",
    },
    custom: 'Your model',
    size: (bytes) => `${megabytes(bytes)} to load`,
    kept: (bytes) => `${megabytes(bytes)} kept on this device`,
    forget: 'Remove from this device',
    use: 'Load',
    inUse: 'In use',
    address: 'Address of another model',
    noAddress: 'Type or paste an address first.',
    addressHint: 'A folder or a Hugging Face repository with a CLIP that has a ViT',
    addressPlaceholder: 'https://huggingface.co/…',
    folder: 'Choose a folder',
    folderHint: 'or drop one here: config.json, preprocessor_config.json, tokenizer.json, model.safetensors',
    progress: (loaded, total) => (total ? `${megabytes(loaded)} of ${megabytes(total)}` : 'asking …'),
    loading: (name) => `Loading ${name}`,
    failed: (name) => `${name} could not be loaded`,
    threads: (count) =>
      count > 1
        ? `Computes on ${count} threads.`
        : 'Computes on one thread, since this site does not send the headers that allow more, or this ' +
          'browser has none.',
    assumed: (list) => `None of this model’s files says it, so this is assumed: ${list.join('; ')}.`,
    large: 'A large model needs about 300 MB of memory, and training takes minutes instead of seconds.',
    missing: (name) => `${name} is not loaded`,
    failedToLoad: 'It could not be loaded.',
    cancelled: 'Its load was cancelled.',
    folderGone: 'It came from a folder, which has to be opened again.',
    standIn: 'The built-in model stands in. What was trained with it is kept and comes back with it.',
    ofProject: (from) => `The project was made with it. It comes from ${from}.`,
    stay: 'Stay with the built-in model',
    unusable: 'What was trained with this model cannot be used any more',
  },

  photos: {
    offer: (name, bytes) =>
      `The built-in model was made for drawings and pictograms. For photographs take ${name}: ` +
      `${megabytes(bytes)}, loaded once.`,
    loading: (name, loaded, total) =>
      `Loading ${name}: ${total ? `${megabytes(loaded)} of ${megabytes(total)}` : 'asking …'}. ` +
      'What the built-in model makes of your photographs is shown meanwhile.',
    action: (name) => `Load ${name}`,
  },

  samples: {
    title: 'Samples',
    names: { travel: 'Travel', zoo: 'Zoo', food: 'Food', faces: 'Faces' },
    empty: 'Start empty',
    emptied: 'Everything was removed',
    opened: (name) => `${name} took the place of what was there`,
    late: (name) => `${name} was not opened, since something was changed meanwhile. Press it again to open it.`,
    credit: 'Pictograms, altered:',
    authors: 'Authors and licences',
    failed: 'The sample could not be fetched. Check the connection and try again.',
    notListed: 'The samples could not be fetched. Check the connection and try again.',
  },

  pictures: {
    title: 'Pictures',
    lead: 'What CLIP says of every picture',
    legendHeld: 'held out: not trained on, used to measure',
    showing: 'Show answers',
    name: 'Name of the class',
    namePlaceholder: 'Name it',
    repeated: 'This name is there already',
    unnamed: 'Give it a name',
    count: (train, held, broken) =>
      `${train} to train${held ? `, ${held} held out` : ''}${broken ? `, ${broken} cannot be read` : ''}`,
    add: (name) => `Add pictures to ${name || 'this class'}`,
    upload: 'Files',
    folder: 'Folder',
    webcam: 'Webcam',
    draw: 'Draw',
    remove: (name) => `Remove the class ${name}`,
    removed: (name) => `${name || 'The class'} was removed`,
    addClass: 'Add a class',
    addFolders: 'Folder of folders',
    addFoldersHint: 'a class for each folder',
    dropHere: 'Drop pictures here',
    dropAnywhere: 'Drop: folders become classes',
    empty: 'Drop, paste or draw some pictures',
    nothing: 'No classes yet',
    nothingHint: 'Add a class and give it pictures, drop folders, or try a sample.',
    open: (name, answer, held) => `${name}${held ? ', held out' : ''}: ${answer}`,
    unanswered: 'no answer yet',
    right: (name, share) => `rightly named ${name}, ${percent(share)}`,
    wrong: (name, share) => `taken for ${name}, ${percent(share)}`,
    more: (count) => `Show ${count} more`,
    less: 'Show fewer',
    skipped: (files) => `${some(files)} ${files.length === 1 ? 'is no picture' : 'are no pictures'} and left out`,
    onlyHidden: 'Only hidden files were found there.',
    unreadable: 'cannot be read',
    broken: (files) => `${some(files)} cannot be read and ${files.length === 1 ? 'is' : 'are'} not trained on`,
    added: (count, name) => `${plural(count, 'picture')} added to ${name}`,
    addedClasses: (count, classes) => `${plural(count, 'picture')} in ${plural(classes, 'class', 'classes')} added`,
    pasteHint: 'Paste goes to the class that you used last.',
    namesError: 'These names cannot be used',
  },

  picture: {
    title: 'Picture',
    belongs: 'Belongs to',
    held: 'Hold out: measure with it, do not train on it',
    remove: 'Remove the picture',
    removed: 'The picture was removed',
    moved: (name) => `The picture was moved to ${name}`,
    inside: 'Look inside',
  },

  hints: {
    doubted: (name, like) => `This one is under ${name} and looks like ${like}.`,
    helpful: (name) => `More pictures of ${name} like this one would help most.`,
    look: 'Look',
    dismiss: 'Hide this hint',
  },

  webcam: {
    title: (name) => `Webcam: ${name || 'new class'}`,
    hold: 'Hold to record',
    holding: 'Recording …',
    recorded: (count) => plural(count, 'picture'),
    rate: (rate) => `${rate} answers a second`,
    denied: 'The browser was not allowed to use the webcam. Allow it beside the address, then try again.',
    missing: 'No webcam was found. Connect one, or use files instead.',
    impossible: 'This page cannot use a webcam here: browsers allow it on https pages only. Use files instead.',
    other: (why) => `The webcam does not start: ${why}`,
  },

  draw: {
    title: (name) => `Draw: ${name || 'new class'}`,
    canvas: 'Drawing area. With the keyboard: use files instead.',
    clear: 'Clear',
    use: 'Add the drawing',
    added: (count) => `${plural(count, 'drawing')} added`,
    colour: (name) => `Colour: ${name}`,
    colours: { '#17161c': 'black', '#e0392b': 'red', '#f2a50c': 'yellow', '#1d9a5b': 'green', '#2c6fe0': 'blue' },
  },

  train: {
    title: 'Train',
    lead: 'It answers already. Training teaches CLIP itself, and is better by a little.',
    preset: 'How long',
    presets: { quick: 'Quick', balanced: 'Balanced', thorough: 'Thorough' },
    estimate: (ms) => (ms ? `about ${duration(ms)}` : ' '),
    method: 'Method',
    advanced: 'Advanced',
    reset: 'Back to the preset',
    start: 'Train',
    again: 'Train again',
    pause: 'Pause',
    stop: 'Stop here',
    goOn: 'Continue',
    starting: 'Reading the pictures …',
    pausing: 'Pausing …',
    left: (ms) => `${duration(ms)} left`,
    paused: 'Paused. Continue when you like, also after a reload.',
    pausedHere: 'Paused. Continue when you like; it is being stored.',
    pausedOnly: 'Paused. Continue when you like, but before you leave: this browser does not store it.',
    interrupted: (progress) =>
      progress
        ? `Interrupted at step ${progress.step} of ${progress.steps}. Continue where it stood.`
        : 'Interrupted. Continue where it stood.',
    interruptedNotice: 'Training was interrupted. Continue it under Train.',
    interruptedEarly: 'Training was interrupted before its first step was stored. Start it again under Train.',
    unkept: 'The last steps could not be put away',
    unkeptFrom: (progress) =>
      progress
        ? `Continue goes on from step ${progress.step} of ${progress.steps}. What was learned since is in use.`
        : 'So the run cannot go on. What it has learned is in use.',
    measuring: 'Trained. Looking at the pictures …',
    partly: (known, all) =>
      `What was trained knows ${known} of the ${all} classes, so the instant answer stands in. Train to teach it all.`,
    ofOthers: 'What was trained is of other classes. It is kept, and comes back with them.',
    since: 'Pictures have come or gone since. Train again to teach it those.',
    step: (step, steps) => `step ${step} of ${steps}`,
    seen: ({ done, total }) => `looking at the pictures once more, ${done} of ${total}`,
    done: (points, share) =>
      points === null ? 'Done. Try it below.' : `Done: ${percent(share)} right, ${text.score.points(points)}.`,
    failed: 'Training ended early',
    gain: { quick: '+3.3 points', balanced: '+2.9 points', thorough: '+2.9 points' },
    gainHint: 'Beyond the instant answer, on the sample tasks with 16 pictures a class. Yours may differ.',
    trainedValues: (count) => `${count.toLocaleString('en')} numbers are trained; CLIP itself stays as it is.`,
    obstacles: {
      noModel: 'The model is still loading.',
      failedModel: 'No model is loaded. Choose one at the top of the page.',
      fewClasses: 'Two classes with a name are needed.',
      emptyClass: 'Every class needs at least one picture to train on.',
    },
    chart: 'Loss and accuracy while training',
    chartNow: (loss, share) =>
      `Loss ${loss.toFixed(2)}${share === null ? '' : `, ${percent(share)} right by prompts alone`}`,
    loss: 'Loss',
    accuracy: (some, all) =>
      some && all && some < all
        ? `Right by prompts alone after each epoch, on ${some} of the ${all} held-out pictures`
        : 'Right by prompts alone after each epoch, on the held-out pictures',
    settings: {
      shots: ['Pictures a class', 'At most so many are drawn of each class'],
      epochs: ['Epochs', 'How often every picture is seen'],
      batchSize: ['Pictures a step', ''],
      learningRate: ['Learning rate', 'Of the presets: chosen for this model'],
      promptLength: ['Prompt tokens', 'A layer'],
      depth: ['Layers with prompts', ''],
      smallestCrop: ['Smallest crop', 'As a share of the picture'],
      seed: ['Seed', 'The same seed gives the same result'],
      augment: ['Random crops and mirror images', ''],
      classSpecific: ['A context for each class', ''],
      layer0Fusion: ['Couple the first layer too', ''],
      injection: ['Coupling', ''],
      classPosition: ['Class name', 'Among the words that are learned'],
      phrase: ['Words to start from', ''],
    },
    choices: {
      linear: 'linear',
      transformer: 'transformer',
      end: 'at the end',
      middle: 'in the middle',
      front: 'in front',
    },
  },

  tryIt: {
    title: 'Try it',
    sources: { draw: 'Draw', webcam: 'Webcam', file: 'File' },
    source: 'Where the picture comes from',
    drop: 'Drop or choose a picture',
    empty: 'Answers appear here',
    untrained: 'Give two pictures, and it learns from them.',
    noNames: 'Name two classes first.',
    none: 'None of these',
    noneHint: (share) => `It fits worse than ${share} of the pictures that were learned from.`,
    correct: (name) => `Not ${name}? It is`,
    teach: (name) => `Add the picture to ${name}, and learn it`,
  },

  keep: {
    title: 'Keep it',
    exportTitle: 'Classifier',
    exportBody: (size) =>
      `One small file${size && ` (${size})`}: what was learned, and no picture. It works with the model that it was ` +
      'learned with.',
    export: 'Download .safetensors',
    importTitle: 'Use one again',
    importBody: 'A .safetensors file from here or from the command line.',
    import: 'Open a file',
    imported: (count) => `The classifier is in use: ${plural(count, 'class', 'classes')}`,
    importFailed: 'The file cannot be used',
    isPicture: 'is a picture. Give it to a class under Pictures, or look at it under Try it.',
    isOther: 'is no classifier. Choose a file that was downloaded here and ends with .safetensors.',
    isNoClassifier: 'holds something else than a classifier. Choose a file that was downloaded under Keep.',
    isOfOtherModel: 'was trained with another model. Choose that model first, at the top of the page.',
    isDamaged: 'is damaged. Download it again, or use another copy.',
    modelChanged: 'The model was changed meanwhile. Open the file again.',
    zipTitle: 'A page of its own',
    zipBody: 'A zip with the classifier, the library and a page of ten lines that uses it.',
    zipModel: 'The model is in it.',
    zipNoModel: 'The model is loaded from its address.',
    zip: 'Download the page',
    zipping: 'Packing …',
    zipFailed: 'The page could not be packed',
    codeTitle: 'In your own app',
    install: 'npm install mudpt',
    copy: 'Copy',
    copied: 'Copied',
    sessionTitle: 'This session',
    sessionBody:
      'Classes, pictures and what was trained are kept on this device and survive a reload. Nothing is sent anywhere.',
    sessionSaving: 'Classes, pictures and what was trained are being stored on this device. Nothing is sent anywhere.',
    sessionNewer: 'A newer version of this page has stored its session. What is changed here is not stored.',
    sessionNot:
      'This browser does not let the page store anything: a reload starts over. Download what you want to keep.',
    sessionFull:
      'There is no room left on this device: not everything survives a reload. Remove pictures or models, or ' +
      'download what you want to keep.',
    clear: 'Remove everything',
    nothing: 'Nothing is learned yet.',
  },

  project: {
    title: 'Project',
    body: 'All of it in one zip: pictures in a folder for each class, and what was trained.',
    name: 'Name',
    unnamed: 'Project',
    renamed: (name) => (name ? `The project is called ${name}` : 'The project has no name'),
    save: 'Save as a file',
    openFile: 'Open a file',
    fresh: 'New project',
    others:
      'Opens files from here, Teachable Machine’s projects of pictures (.tm), and zips with a folder for each class. ' +
      'What is here now is kept below.',
    shelf: 'Other projects in this browser',
    about: (pictures, classes, day) =>
      `${plural(pictures, 'picture')} in ${plural(classes, 'class', 'classes')}, ${day}`,
    open: 'Open',
    remove: (name) => `Remove the project ${name}`,
    sure: 'Really remove',
    opened: (name) => `${name} was opened`,
    missing: (count) => `${plural(count, 'picture')} of the project ${count === 1 ? 'is' : 'are'} not in the file`,
    notOpened: 'The project was not opened',
    notSaved: 'The project was not saved',
    notRemoved: 'The project was not removed',
    gone: 'It is not there any more.',
    isOther: 'is no zip.',
    isDamaged: 'is damaged.',
    isTooLarge: (most) => `holds more than ${megabytes(most)}.`,
    isNewer: 'was saved by a newer page. Load this page anew.',
    isEmpty: 'holds no pictures.',
    isOfType: (type) => `is a project of Teachable Machine’s for ${type}. Only those for images can be opened.`,
    isTrainedModel:
      'is a model that Teachable Machine has trained, without its pictures. Choose "Download project as file" there.',
  },

  tabs: {
    title: 'This page is open in another tab',
    body: 'Your classes and pictures are in use there. What you see here is how they were when this tab was opened.',
    take: 'Use it here',
    taking: 'The other tab puts everything away …',
  },

  update: {
    title: 'This page was updated since it was opened',
    body: 'What it needs may be gone. Load it anew: classes, pictures and what was trained stay.',
    newer: 'Another tab has the new one. Load this one anew to go on: what is changed here is not stored.',
    reload: 'Load it anew',
  },

  footer: {
    about: 'Multi-modal prompt tuning (MuDPT) of CLIP, in WebAssembly.',
    licences: 'Licences',
    threads: (count, variant) => `${plural(count, 'thread')}, ${variant} SIMD`,
  },

  errors: {
    title: 'Something went wrong',
    view: (name) => `${name} could not be fetched`,
    fetch: 'Check the connection and try again.',
  },
};
