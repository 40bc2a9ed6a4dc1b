/** Light, dark, or as the device has it. */
import { effect, signal } from '@preact/signals';

const KEY = 'mudpt-theme';
export const THEMES = ['auto', 'light', 'dark'];

const read = () => {
  try {
    return localStorage.getItem(KEY) ?? 'auto';
  } catch {
    return 'auto';
  }
};

export const theme = signal(read());
const media = matchMedia('(prefers-color-scheme: dark)');
const device = signal(media.matches);

export const isDark = () => (theme.value === 'auto' ? device.value : theme.value === 'dark');

export function startTheme() {
  media.addEventListener('change', () => (device.value = media.matches));
  effect(() => {
    document.documentElement.dataset.theme = isDark() ? 'dark' : 'light';
    try {
      localStorage.setItem(KEY, theme.value);
    } catch {
      // then it is as the device has it next time
    }
  });
}
