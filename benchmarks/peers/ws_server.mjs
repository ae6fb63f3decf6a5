// A relay as people write it with node and ws: every message goes to everybody. `ws_server.mjs 16`: the same with a tick.
import { WebSocketServer } from 'ws'

const tick = Number(process.argv[2] ?? 0)
const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false })
let waiting = []

function all(data) {
  for (const socket of server.clients) if (socket.readyState === 1) socket.send(data)
}

server.on('connection', (socket) => {
  socket.on('message', (data) => (tick > 0 ? waiting.push(data) : all(data)))
})
if (tick > 0) {
  setInterval(() => {
    if (waiting.length === 0) return
    const joined = Buffer.concat(waiting)
    waiting = []
    all(joined)
  }, tick)
}
server.on('listening', () => console.log(server.address().port))
