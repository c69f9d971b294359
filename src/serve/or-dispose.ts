/** What `action` resolves with. When it fails, `resource` is disposed of before the failure is thrown. */
export async function orDispose<T>(resource: AsyncDisposable, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    await resource[Symbol.asyncDispose]();
    throw error;
  }
}
