/** The site of the documents, as VitePress wants to know it; build.js puts this beside copies of them. */
import { slugOf } from './slug.js';

const base = process.env.MUDPT_DOCS_BASE ?? '/';
const page = (name, text) => ({ text, link: `/docs/${name}` });

export default {
  title: 'mudpt',
  description: 'CLIP and multi-modal prompt tuning in WebAssembly',
  lang: 'en',
  base,
  ignoreDeadLinks: [/\/LICENSE$/], // no page; it is there as a file
  markdown: { anchor: { slugify: slugOf } }, // as links are written for GitHub
  themeConfig: {
    search: { provider: 'local' },
    outline: [2, 3],
    nav: [
      { text: 'Demo', link: '/demo/index.html', target: '_self' },
      page('quick-start', 'Quick start'),
      page('reference', 'Reference'),
    ],
    sidebar: [
      {
        text: 'Use it',
        items: [
          page('quick-start', 'Quick start'),
          page('guide', 'Guide'),
          page('recipes', 'Recipes'),
          page('command-line', 'Command line'),
          page('reference', 'Reference'),
          page('browser', 'In the browser'),
          page('loading', 'Loading'),
          page('limits', 'Limits'),
          page('stable', 'What is stable'),
        ],
      },
      {
        text: 'Models and methods',
        items: [
          page('models', 'Models'),
          page('families', 'Families'),
          page('methods', 'Methods'),
          page('presets', 'Presets'),
          page('features', 'Features'),
          page('protocols', 'Protocols'),
          page('exchange', 'Exchange and ONNX'),
          page('file-formats', 'File formats'),
          { text: 'pictoclip', link: '/models/pictoclip/MODEL_CARD' },
        ],
      },
      {
        text: 'Beside others',
        items: [
          page('teachable-machine', 'Teachable Machine'),
          page('performance', 'Performance'),
          page('webgpu', 'WebGPU'),
          page('demo', 'The demo page'),
        ],
      },
      {
        text: 'How it is made',
        items: [
          page('how-it-works', 'How it works'),
          page('trust', 'Trust'),
          page('bitten', 'What has bitten us'),
          page('tried', 'What was tried'),
          { text: 'Changelog', link: '/CHANGELOG' },
          { text: 'Security', link: '/SECURITY' },
          { text: 'Licences of this site', link: `${base}licences.txt`, target: '_self' },
        ],
      },
    ],
  },
};
