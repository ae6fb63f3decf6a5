// Uploads a picture as a new layer, or an OpenRaster file as several, with progress: XMLHttpRequest, because fetch cannot report it.
import { ApiError } from './api'
import type { Box, OpId } from '../protocol/types'

export interface Placement {
  op: OpId
  layer: string
  name: string
  x: number
  y: number
}

export interface Imported {
  seq: number
  layer: string
  box: Box
  /** What could not come as it is in the file, a sentence each. */
  notes?: string[]
}

const PICTURES = ['image/jpeg', 'image/png', 'image/webp']
const OPEN_RASTER = { kind: 'image/openraster', ending: '.ora' }

/** What a file picker offers. */
export const ACCEPT = [...PICTURES, OPEN_RASTER.kind, OPEN_RASTER.ending].join(',')

/** A file with layers; few systems know its kind, so its name counts too. */
export function isOpenRaster(file: Blob, name: string): boolean {
  return file.type === OPEN_RASTER.kind || name.toLowerCase().endsWith(OPEN_RASTER.ending)
}

/** Whether a file may be one of ours by what is known of it; the server has the last word. */
export function isTaken(file: Blob, name: string): boolean {
  return file.type === '' || PICTURES.includes(file.type) || isOpenRaster(file, name)
}

export function upload(canvas: string, kind: 'images' | 'import.ora', file: Blob, place: Placement, progress: (part: number) => void): Promise<Imported> {
  const query = new URLSearchParams({
    client: place.op[0],
    n: String(place.op[1]),
    layer: place.layer,
    name: place.name.slice(0, 120),
    x: String(Math.round(place.x)),
    y: String(Math.round(place.y)),
  })
  return new Promise((resolve, reject) => {
    const xhr = new XMLHttpRequest()
    xhr.open('POST', `/api/canvases/${canvas}/${kind}?${query.toString()}`)
    xhr.responseType = 'text'
    if (file.type !== '') xhr.setRequestHeader('content-type', file.type)
    xhr.upload.onprogress = (event) => event.lengthComputable && progress(event.loaded / event.total)
    xhr.upload.onload = () => progress(1)
    xhr.onload = () => {
      const body = parse(xhr.responseText)
      if (xhr.status >= 200 && xhr.status < 300) resolve(body as unknown as Imported)
      else reject(new ApiError(xhr.status, String(body['code'] ?? 'error'), String(body['message'] ?? `The server answered ${xhr.status}.`)))
    }
    xhr.onerror = () => reject(new ApiError(0, 'offline', 'The upload was cut off. The canvas is unchanged; try the picture again.'))
    xhr.send(file)
  })
}

function parse(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>
  } catch {
    return {}
  }
}
