/** A quiet line of what would help, which goes when it is told to. */
import { Lightbulb, X } from 'lucide';

import { opened } from '../actions.js';
import { dismiss, hints } from '../hints.js';
import { nameOf, pictures } from '../store.js';
import { text } from '../strings.js';
import { Icon } from './bits.jsx';

function Hint({ id, told, action }) {
  const picture = pictures.value.find((one) => one.id === id);
  if (!picture) return null;
  return (
    <p class="hint">
      <Icon of={Lightbulb} size={16} />
      <img src={picture.url} alt="" />
      <span>{told(picture)}</span>
      <button type="button" class="quiet" onClick={() => (opened.value = id)}>
        {action}
      </button>
      <button type="button" class="quiet round small" aria-label={text.hints.dismiss} onClick={() => dismiss(id)}>
        <Icon of={X} size={14} />
      </button>
    </p>
  );
}

/** One at a time: a label that may be wrong comes before what may help. */
export function Hints() {
  const { doubted, helpful } = hints.value;
  if (doubted) {
    const told = ({ classId }) => text.hints.doubted(nameOf(classId), nameOf(doubted.like));
    return <Hint id={doubted.id} told={told} action={text.hints.look} />;
  }
  if (!helpful) return null;
  return <Hint id={helpful} told={({ classId }) => text.hints.helpful(nameOf(classId))} action={text.hints.look} />;
}
