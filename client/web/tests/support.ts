// Small builders that the tests share.
import type { Change, Job, Layer, Manifest } from '../src/protocol/types'

export function layer(id: string, rest: Partial<Layer> = {}): Layer {
  return { id, name: id.toUpperCase(), visible: true, opacity: 1, blend: 'normal', locked: false, group: false, parent: '', ...rest }
}

export function manifest(change: Partial<Manifest> = {}): Manifest {
  return {
    position: [1, 10, ['c', 1]],
    canvas: { id: 'x', title: '', width: 1024, height: 1024, used_bytes: 0, budget_bytes: 0 },
    layers: [layer('a')],
    tiles: [],
    jobs: [],
    ...change,
  }
}

export function change(seq: number, rest: Partial<Change> = {}): Change {
  return { seq, epoch: 1, op: ['c', seq], user: 'u', kind: 'paint', time_ms: 0, tiles: [], layers: null, canvas: null, job: null, undoes: null, thread: null, restores: null, version: null, about: null, ...rest }
}

export function job(id: string, rest: Partial<Job> = {}): Job {
  return {
    id,
    state: 'queued',
    user: 'u',
    user_name: 'Ana',
    color: '#0077bb',
    mode: 'fill',
    model: '',
    prompt: '',
    negative: '',
    seed: 1,
    strength: 1,
    quality: 'balanced',
    detail: false,
    steps: null,
    guidance: null,
    style: null,
    loras: [],
    feather: null,
    grow: null,
    exact_edge: false,
    onto: 'auto',
    variations: 1,
    box: [0, 0, 10, 10],
    mask: '',
    layer: null,
    live: '',
    result_box: null,
    results: [],
    timing: null,
    cost: null,
    understood: '',
    notice: '',
    error_code: '',
    error: '',
    created_ms: 0,
    ...rest,
  }
}
