/** What the commands ask of src/; a test gives them another one. */
export type Api = typeof import('../src/index.ts');

/** Loads the heavy half of the program only when a command needs it. */
export async function loadApi(): Promise<Api> {
  return import('../src/index.ts');
}
