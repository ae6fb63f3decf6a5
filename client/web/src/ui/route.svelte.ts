// Which page the address means: the start page, or a canvas with its link secret in the fragment.
export interface Place {
  canvas: string
  secret: string
}

function read(): Place | null {
  const found = /^\/c\/([A-Za-z0-9_-]{1,64})/.exec(location.pathname)
  if (found?.[1] === undefined) return null
  return { canvas: found[1], secret: decodeURIComponent(location.hash.slice(1)) }
}

/** What to do on a canvas that was made a moment ago. */
export type FirstStep = { kind: 'file'; file: File } | { kind: 'blank'; width: number; height: number } | { kind: 'prompt'; prompt: string } | null

class Route {
  place = $state.raw<Place | null>(read())
  first: FirstStep = null

  constructor() {
    addEventListener('popstate', () => (this.place = read()))
    addEventListener('hashchange', () => (this.place = read()))
  }

  go(path: string, first: FirstStep = null): void {
    this.first = first
    history.pushState(null, '', path)
    this.place = read()
  }

  takeFirst(): FirstStep {
    const { first } = this
    this.first = null
    return first
  }
}

export const route = new Route()
