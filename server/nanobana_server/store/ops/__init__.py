"""The ops that need pixels or several reads, each a loop until its commit lands; the store is their first argument."""

from nanobana_server.store.ops.canvas_file import read_canvas_file, write_canvas_file
from nanobana_server.store.ops.comments import comment_op
from nanobana_server.store.ops.export import export_png
from nanobana_server.store.ops.imports import Imported, import_image
from nanobana_server.store.ops.layers import canvas_set, layer_op
from nanobana_server.store.ops.open_raster import write_open_raster
from nanobana_server.store.ops.open_raster_import import import_open_raster
from nanobana_server.store.ops.paint import paint
from nanobana_server.store.ops.restore import restore
from nanobana_server.store.ops.transform import transform
from nanobana_server.store.ops.undo import redo, undo, undo_person
from nanobana_server.store.ops.versions import version_set

__all__ = [
    "Imported",
    "canvas_set",
    "comment_op",
    "export_png",
    "import_image",
    "import_open_raster",
    "layer_op",
    "paint",
    "read_canvas_file",
    "redo",
    "restore",
    "transform",
    "undo",
    "undo_person",
    "version_set",
    "write_canvas_file",
    "write_open_raster",
]
