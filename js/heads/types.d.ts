/** Heads by name. */

/** A classifier of features (docs/methods.md); `mudpt help train` lists them. */
export type Head = 'sstext' | 'sstext+' | 'gda' | 'tip' | 'tip-f' | 'lp++' | 'clap' | 'prolip' | 'ridge' | 'logistic';
