"""Python modules made of the head-end's .proto files, in a folder that lives as long as the process."""

import atexit
import pathlib
import shutil
import sys
import tempfile

import grpc_tools
from grpc_tools import protoc


def generate(proto):
    """Compiles the .proto files below `proto` and makes their modules importable."""
    folder = tempfile.mkdtemp(prefix="headend-stubs-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    known = pathlib.Path(grpc_tools.__file__).parent / "_proto"
    files = [str(path.relative_to(proto)) for path in sorted(pathlib.Path(proto).rglob("*.proto"))]
    arguments = ["protoc", f"-I{proto}", f"-I{known}", f"--python_out={folder}", f"--grpc_python_out={folder}"]
    if protoc.main(arguments + files) != 0:
        raise SystemExit("the .proto files do not compile")
    sys.path.insert(0, folder)
