// Hocuspocus with stateless messages, its way to send what is not kept: each one is broadcast to its document.
import { Server } from '@hocuspocus/server'

const server = new Server({
  address: '127.0.0.1',
  port: 0,
  quiet: true,
  stopOnSignals: true,
  async onStateless({ document, payload }) {
    document.broadcastStateless(payload)
  },
})
await server.listen()
console.log(server.address.port)
