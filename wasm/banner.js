// @ts-nocheck
// Made by Emscripten from src/ of mudpt. Its run-time code: copyright the Emscripten authors, MIT licence.
