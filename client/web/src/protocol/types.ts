// Generated from nanobana.protocol by `python -m nanobana.protocol.typescript`; do not edit (R1).
export const PROTOCOL_VERSION = 2
export const TILE = 256
export const MAX_SIDE = 16384
export const MAX_MIP = 6
export const MAX_FRAME = 262144
export const INLINE = 65536
export const CLOSE_SLOW = 4000
export const CLOSE_DRAINING = 4001
export const CLOSE_TICKET = 4002
export const CLOSE_RATE = 4003
export const CLOSE_STORE = 4004
export const CLOSE_REVOKED = 4500
export const CLOSE_PROTOCOL = 4501
export const CLOSE_BAD_FRAME = 4502
export const CLOSE_ROOM_FULL = 4503
export const CLOSE_GONE = 4504
export const CLOSE_KICKED = 4505
export const CLOSE_BANNED = 4506

export type JobState = "queued" | "running" | "staged" | "accepted" | "discarded" | "cancelled" | "superseded" | "failed"

export type Role = "owner" | "editor" | "commenter" | "viewer"

export type StrokeKind = "paint" | "erase" | "mask-brush" | "mask-rect" | "mask-lasso"

export type ChangeKind = "paint" | "import" | "transform" | "layers" | "canvas" | "edit" | "undo" | "redo" | "restore" | "version" | "comment"

/** One connection. `user` is the person behind it (stable over reconnects), `id` the connection. */
export interface Member {
  id: string
  user: string
  name: string
  color: string
  role: Role
}

/** Made by the client: `client` is one tab, `n` rises by at least one with each op (C6). Wire: ``[client, n]``. */
export type OpId = [client: string, n: number]

/** Where a reader stands in the log: epoch, seq, and the op ID at seq (C4). */
export type Position = [epoch: number, seq: number, op: OpId | null]

export interface CanvasInfo {
  id: string
  title: string
  width: number
  height: number
  used_bytes: number
  budget_bytes: number
}

/** One layer, or a group of them; the list runs from bottom to top, a group right above all that is in it. */
export interface Layer {
  id: string
  name: string
  visible: boolean
  opacity: number
  blend: "multiply" | "normal" | "overlay" | "screen"
  locked: boolean
  group: boolean
  parent: string
}

/** A tile's place and content name. Wire: ``[layer, tx, ty, name]``; an empty name means transparent again. */
export type TileRef = [layer: string, tx: number, ty: number, name: string]

/** A LoRA to wear, by a name that the engine knows. */
export interface Lora {
  name: string
  weight: number
}

/** A half-open rectangle in canvas pixels: x0 <= x < x1, y0 <= y < y1. On the wire ``[x0, y0, x1, y1]``. */
export type Box = [x0: number, y0: number, x1: number, y1: number]

/** A part of a large result: an RGBA patch of a box. Wire: ``[box, blob]``. */
export type ResultPart = [box: Box, blob: string]

/** One staged result: an RGBA patch (colour + composite mask C as alpha, lossless WebP) of the result box. */
export interface Variation {
  blob: string
  seed: number
  parts: ResultPart[]
}

/** Where the time of an edit went, in milliseconds of wall time. */
export interface Timing {
  wait_ms: number
  read_ms: number
  model_ms: number
  condition_ms: number
  patch_ms: number
  total_ms: number
}

/** What an edit recomputed of its canvas, as the engine counted it (E9). */
export interface Cost {
  cells: number
  cells_of: number
  tiles: number
  tiles_of: number
  encoded: number | null
  decoded: number | null
  saved_ms: number | null
}

/** An edit in everybody's eyes; replaced as a whole by every change of its state. */
export interface Job {
  id: string
  state: JobState
  user: string
  user_name: string
  color: string
  mode: string
  model: string
  prompt: string
  negative: string
  seed: number
  strength: number
  quality: string
  detail: boolean
  steps: number | null
  guidance: number | null
  style: string | null
  loras: Lora[]
  feather: number | null
  grow: number | null
  exact_edge: boolean
  variations: number
  box: Box
  mask: string
  layer: string | null
  onto: "auto" | "layer" | "new"
  live: string
  result_box: Box | null
  results: Variation[]
  timing: Timing | null
  cost: Cost | null
  understood: string
  notice: string
  error_code: string
  error: string
  created_ms: number
}

/** Everything needed to show a canvas at a position; the live snapshot (C8). */
export interface Manifest {
  position: Position
  canvas: CanvasInfo
  layers: Layer[]
  tiles: TileRef[]
  jobs: Job[]
}

/** Answer to hello: either `manifest` is set (fresh join, full resync) or the tail follows as `change`s (resume). */
export interface Welcome {
  t: "welcome"
  protocol: number
  you: Member
  position: Position
  canvas: CanvasInfo
  members: Member[]
  manifest?: Manifest | null
  model?: string
}

/** The reader's position is void (epoch changed, or it fell too far behind): start again from this manifest. */
export interface Resync {
  t: "resync"
  manifest: Manifest
  reason: string
}

/** What a reader that stands at this very position must find (R9); one that finds otherwise says `Diverged`. */
export interface Checksum {
  t: "checksum"
  position: Position
  sum: number
}

/** The op is durable at seq. Idempotent repeats get the first answer. */
export interface Ack {
  t: "ack"
  op: OpId
  seq: number
}

export interface Reject {
  t: "reject"
  op: OpId
  code: string
  message: string
  retry_ms?: number | null
}

/** What somebody said in a thread; the server writes who and when (R7). */
export interface Comment {
  id: string
  user: string
  name: string
  color: string
  text: string
  time_ms: number
}

/** Comments pinned to a point of the canvas, oldest first; without any the thread is gone. */
export interface Thread {
  id: string
  x: number
  y: number
  comments: Comment[]
  resolved: boolean
}

/** A moment of the canvas that somebody gave a name to. */
export interface Version {
  id: string
  name: string
  seq: number
  user: string
  user_name: string
  color: string
  created_ms: number
}

/** One entry of the log: what an op changed. Fields that an op did not touch are None or empty. */
export interface Change {
  seq: number
  epoch: number
  op: OpId
  user: string
  kind: ChangeKind
  time_ms: number
  tiles: TileRef[]
  layers: Layer[] | null
  canvas: CanvasInfo | null
  job: Job | null
  undoes: number | null
  thread: Thread | null
  restores: number | null
  version: Version | null
  about: string | null
}

/** Durable: one log entry, in order of seq. */
export interface Changed {
  t: "change"
  change: Change
}

/** Latest-only: progress of one job (R3). The engine publishes it, servers pass its bytes on. */
export interface Preview {
  t: "preview"
  job: string
  state: "queued" | "running"
  place?: number
  wait_s?: number
  stage?: "" | "detail" | "erase" | "layout" | "rough"
  step?: number
  of?: number
  tile?: number
  tiles?: number
  box?: Box | null
  jpeg?: Uint8Array | null
  alpha?: Uint8Array | null
  variation?: number
  patches?: string[]
  patch?: Uint8Array | null
}

export interface Joined {
  t: "joined"
  member: Member
}

export interface Left {
  t: "left"
  id: string
}

/** Volatile, merged per tick: ``[member id, x | null, y | null]`` rows. */
export interface Cursors {
  t: "cursors"
  rows: ([string, number | null, number | null])[]
}

/** Volatile, latest only: what I am saying at my cursor, as far as it is typed; empty: nothing more. */
export interface Chat {
  t: "chat"
  text?: string
}

export interface MemberChat {
  t: "member_chat"
  member: string
  chat: Chat
}

/** Volatile, latest only: the part of the canvas that I see, for those who follow me. Canvas pixels. */
export interface Look {
  t: "look"
  x0: number
  y0: number
  x1: number
  y1: number
}

export interface MemberLook {
  t: "member_look"
  member: string
  look: Look
}

/** Volatile: the newest points of a stroke in progress, so that others see it being drawn. */
export interface Stroke {
  t: "stroke"
  id: string
  kind: StrokeKind
  points: number[]
  size?: number
  color?: string
  subtract?: boolean
  masked?: boolean
  done?: boolean
}

export interface MemberStroke {
  t: "member_stroke"
  member: string
  stroke: Stroke
}

/** Volatile, latest only: where I hold a layer's pixels before they are put down with a `Transform`. */
export interface Moving {
  t: "moving"
  layer: string
  matrix?: [number, number, number, number, number, number] | null
  masked?: boolean
}

export interface MemberMoving {
  t: "member_moving"
  member: string
  moving: Moving
}

/** Volatile: one tile of a member's mask, or (without a tile) that it has none any more. */
export interface MemberMask {
  t: "member_mask"
  member: string
  tile?: [number, number] | null
  png?: Uint8Array | null
}

/** Volatile: an uploaded picture is being cut into tiles. */
export interface ImportProgress {
  t: "import"
  op: OpId
  user: string
  done: number
  of: number
}

/** What can be asked of a model that engines serve; they say it themselves, the page offers nothing else. */
export interface ModelFacts {
  name: string
  good_for?: string
  licence?: string
  languages?: string[]
  takes?: ("detail" | "guidance" | "loras" | "negative" | "references" | "steps" | "styles" | "weights")[]
  steps?: [number, number, number]
  guidance?: number
  styles?: string[]
  loras?: string[]
  reach?: number
  seconds?: number
  loaded?: boolean
}

/** Volatile: how many engines take work and which models they serve; 0 disables Generate with a reason. */
export interface Engines {
  t: "engines"
  count: number
  models?: ModelFacts[]
  loading?: string
}

export interface Pong {
  t: "pong"
  n: number
}

/** A frame was not understood, or the socket is about to be closed: why, and whether to come back. */
export interface Problem {
  t: "problem"
  code: string
  message: string
  retry_ms?: number | null
}

/** A change that can be seen; the canvas as it was right after it can be looked at and restored by its `seq`. */
export interface Moment {
  seq: number
  time_ms: number
  user: string
  kind: ChangeKind
  box: Box | null
  what: string
  job: Job | null
  undoes: number | null
  restores: number | null
}

/** Somebody who came to a canvas once, with the name and the colour of the last time. */
export interface Person {
  user: string
  name: string
  color: string
}

/** A page of the past. */
export interface Moments {
  moments: Moment[]
  people: Person[]
  before: number | null
  versions: Version[]
}

/** First message, within 5 s. The ticket came from POST …/tickets and works once. */
export interface Hello {
  t: "hello"
  protocol: number
  ticket: string
  client: string
  position?: Position | null
}

/** Lay an RGBA patch (straight alpha PNG, exactly the box's size) over a layer, or erase by its alpha. */
export interface Paint {
  t: "paint"
  op: OpId
  layer: string
  box: Box
  png?: Uint8Array | null
  blob?: string | null
  mode?: "erase" | "over"
  group?: number | null
}

/** Move, scale, turn or flip a layer's pixels, all of them or those under a mask; the server makes them (C14). */
export interface Transform {
  t: "transform"
  op: OpId
  layer: string
  matrix: [number, number, number, number, number, number]
  box?: Box | null
  mask_png?: Uint8Array | null
  mask_blob?: string | null
  group?: number | null
}

export interface LayerAdd {
  t: "layer_add"
  op: OpId
  layer: string
  name: string
  above?: string | null
}

export interface LayerSet {
  t: "layer_set"
  op: OpId
  layer: string
  name?: string | null
  visible?: boolean | null
  opacity?: number | null
  blend?: "multiply" | "normal" | "overlay" | "screen" | null
  locked?: boolean | null
}

/** Move to an index of the list without it, 0 = bottom; a group goes with all that is in it. */
export interface LayerMove {
  t: "layer_move"
  op: OpId
  layer: string
  index: number
  parent?: string | null
}

/** A group goes with all that is in it. */
export interface LayerDelete {
  t: "layer_delete"
  op: OpId
  layer: string
}

/** A new group, where the topmost of its members is, with all of them in it; without members an empty one on top. */
export interface LayerGroup {
  t: "layer_group"
  op: OpId
  layer: string
  name: string
  members: string[]
}

/** The group goes, what is in it stays where it is. */
export interface LayerUngroup {
  t: "layer_ungroup"
  op: OpId
  layer: string
}

/** A copy right above it, of a group with all that is in it; `copy` is the new layer's ID. */
export interface LayerDuplicate {
  t: "layer_duplicate"
  op: OpId
  layer: string
  copy: string
}

/** Burn a layer, or a group, into the layer right beneath it; that one is as opaque as it looked then. */
export interface LayerMerge {
  t: "layer_merge"
  op: OpId
  layer: string
}

/** Name or size of the canvas. Growing and cropping keep the tiles; what lies outside is just not shown. */
export interface CanvasSet {
  t: "canvas_set"
  op: OpId
  title?: string | null
  width?: number | null
  height?: number | null
}

/** A picture to follow. Its blob is a PNG, WebP or JPEG uploaded to the canvas beforehand. */
export interface Reference {
  blob: string
  weight?: number
}

/** One region to refill. */
export interface EditParams {
  mode?: "erase" | "fill"
  box: Box
  mask_png?: Uint8Array | null
  mask_blob?: string | null
  prompt?: string
  negative?: string
  seed?: number | null
  variations?: number
  strength?: number
  quality?: "balanced" | "best" | "draft"
  detail?: boolean
  steps?: number | null
  guidance?: number | null
  style?: string | null
  loras?: Lora[]
  feather?: number | null
  grow?: number | null
  exact_edge?: boolean
  layer?: string | null
  onto?: "auto" | "layer" | "new"
  references?: Reference[]
  model?: string | null
  lane?: "batch" | "live"
  front?: boolean
  live?: string | null
}

/** Queue an edit; its job ID will be ``{client}-{n}`` of this op. */
export interface Edit {
  t: "edit"
  op: OpId
  edit: EditParams
}

export interface Cancel {
  t: "cancel"
  op: OpId
  job: string
}

/** Accept one variation of a staged job, or discard it. The first decision wins (code ``already_decided``). */
export interface Decide {
  t: "decide"
  op: OpId
  job: string
  accept: boolean
  variation?: number
  new_layer?: boolean
}

/** Undo the newest op of mine that is not undone (C9). */
export interface Undo {
  t: "undo"
  op: OpId
}

export interface Redo {
  t: "redo"
  op: OpId
}

/** Take back what somebody else did in the last minutes, in one step that my redo brings back (C9). */
export interface UndoPerson {
  t: "undo_person"
  op: OpId
  user: string
  minutes: number
}

/** Pin a new thread at (x, y), or reply to one that is there, which opens it again. */
export interface CommentAdd {
  t: "comment_add"
  op: OpId
  thread: string
  text: string
  x?: number | null
  y?: number | null
}

/** Take back a comment of mine (an owner: anybody's). A thread goes with its last one. */
export interface CommentDelete {
  t: "comment_delete"
  op: OpId
  thread: string
  comment: string
}

/** Say that a thread is dealt with, or that it is not. */
export interface ThreadResolve {
  t: "thread_resolve"
  op: OpId
  thread: string
  resolved: boolean
}

/** Make the canvas, or one region of every layer, what it was right after an earlier change; undone like any op. */
export interface Restore {
  t: "restore"
  op: OpId
  seq: number
  box?: Box | null
}

/** Give a moment a name; an empty name takes the version off the list again. */
export interface VersionSet {
  t: "version_set"
  op: OpId
  version: string
  name: string
  seq: number
}

/** Volatile. Canvas pixels; None when the pointer left the canvas. */
export interface Cursor {
  t: "cursor"
  x?: number | null
  y?: number | null
}

/** Volatile, latest only: one tile of my mask (gray PNG of 256²; none: empty now), or that I have no mask any more. */
export interface Mask {
  t: "mask"
  tile?: [number, number] | null
  png?: Uint8Array | null
}

/** Volatile, latest only: I may soon ask for an edit of this region; nobody is shown it. */
export interface Prepare {
  t: "prepare"
  box: Box
  png: Uint8Array
  model?: string | null
}

/** My copy is not what the `Checksum` of this position says; answered with a Resync (R9). */
export interface Diverged {
  t: "diverged"
  position: Position
  sum: number
}

export interface Ping {
  t: "ping"
  n?: number
}

export type ClientMessage =
  | Hello
  | Paint
  | Transform
  | LayerAdd
  | LayerSet
  | LayerMove
  | LayerDelete
  | LayerGroup
  | LayerUngroup
  | LayerDuplicate
  | LayerMerge
  | CanvasSet
  | Edit
  | Cancel
  | Decide
  | Undo
  | Redo
  | UndoPerson
  | CommentAdd
  | CommentDelete
  | ThreadResolve
  | Restore
  | VersionSet
  | Cursor
  | Chat
  | Look
  | Stroke
  | Moving
  | Mask
  | Prepare
  | Diverged
  | Ping

export type Op =
  | Paint
  | Transform
  | LayerAdd
  | LayerSet
  | LayerMove
  | LayerDelete
  | LayerGroup
  | LayerUngroup
  | LayerDuplicate
  | LayerMerge
  | CanvasSet
  | Edit
  | Cancel
  | Decide
  | Undo
  | Redo
  | UndoPerson
  | CommentAdd
  | CommentDelete
  | ThreadResolve
  | Restore
  | VersionSet

export type ServerMessage =
  | Welcome
  | Resync
  | Checksum
  | Ack
  | Reject
  | Changed
  | Preview
  | Joined
  | Left
  | Cursors
  | MemberChat
  | MemberLook
  | MemberStroke
  | MemberMoving
  | MemberMask
  | ImportProgress
  | Engines
  | Pong
  | Problem
