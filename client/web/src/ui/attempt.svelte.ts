// Work for the server that may fail: what went wrong is shown until the next try.
export class Attempt {
  problem = $state('')

  readonly run = async (work: () => Promise<void>): Promise<void> => {
    this.problem = ''
    try {
      await work()
    } catch (error) {
      this.problem = error instanceof Error ? error.message : String(error)
    }
  }
}
