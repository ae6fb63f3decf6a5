// Short messages at the bottom of the page: what happened, whether work is safe, what next.
export interface Toast {
  id: number
  text: string
  tone: 'info' | 'error'
}

export class Toasts {
  list = $state.raw<Toast[]>([])
  #next = 0

  show(text: string, tone: Toast['tone'] = 'info'): void {
    if (this.list.some((toast) => toast.text === text)) return
    const id = ++this.#next
    this.list = [...this.list, { id, text, tone }].slice(-3)
    setTimeout(() => this.drop(id), tone === 'error' ? 9000 : 4500)
  }

  drop(id: number): void {
    this.list = this.list.filter((toast) => toast.id !== id)
  }
}
