// Builds the browser client into the server's static folder: one page, hashed files under /assets.
import { svelte } from '@sveltejs/vite-plugin-svelte'
import { defineConfig } from 'vitest/config'

const backend = process.env['NANOBANA_URL'] ?? 'http://127.0.0.1:8000'

export default defineConfig({
  plugins: [svelte()],
  base: '/',
  worker: { format: 'es' },
  build: {
    outDir: '../../server/nanobana_server/static',
    emptyOutDir: true,
    assetsInlineLimit: 0,
    sourcemap: process.env['NANOBANA_MAP'] === '1',
    target: 'es2022',
    chunkSizeWarningLimit: 700,
  },
  server: { proxy: { '/api': { target: backend, ws: true } } },
  test: { include: ['tests/**/*.test.ts'], environment: 'node' },
})
