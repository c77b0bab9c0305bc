"""What the generators share: a FileDescriptorSet by names, and its fields in the words
that the C code uses."""
import pathlib
import re

from google.protobuf import descriptor_pb2

FIELD = descriptor_pb2.FieldDescriptorProto

# The kinds of fields that the generated code knows. Another one ends the build by its name.
KINDS = {
    FIELD.TYPE_BOOL: "BOOL",
    FIELD.TYPE_INT32: "INT32",
    FIELD.TYPE_INT64: "INT64",
    FIELD.TYPE_UINT32: "UINT32",
    FIELD.TYPE_UINT64: "UINT64",
    FIELD.TYPE_ENUM: "ENUM",
    FIELD.TYPE_STRING: "STRING",
    FIELD.TYPE_BYTES: "BYTES",
    FIELD.TYPE_MESSAGE: "MESSAGE",
}


def read_files(path):
    """The files of a serialized FileDescriptorSet, each after those that it imports."""
    return descriptor_pb2.FileDescriptorSet.FromString(pathlib.Path(path).read_bytes()).file


def collect(files):
    """Every message and enum, as {full name: descriptor}."""
    messages, enums = {}, {}

    def visit(scope, message):
        full = f"{scope}.{message.name}"
        if message.options.map_entry:
            raise SystemExit(f"{full}: the generators know no maps")
        messages[full] = message
        for enum in message.enum_type:
            enums[f"{full}.{enum.name}"] = enum
        for nested in message.nested_type:
            visit(full, nested)

    for file in files:
        if file.syntax != "proto3":
            raise SystemExit(f"{file.name}: the generators know proto3 only")
        for message in file.message_type:
            visit(file.package, message)
        for enum in file.enum_type:
            enums[f"{file.package}.{enum.name}"] = enum
    return messages, enums


def kind_of(full, field):
    """One of KINDS, of a field of the message with this full name."""
    if field.type not in KINDS:
        raise SystemExit(f"{full}.{field.name}: the generators do not know "
                         f"{FIELD.Type.Name(field.type)}")
    return KINDS[field.type]


def is_repeated(field):
    return field.label == FIELD.LABEL_REPEATED


def is_text(field):
    return field.type in (FIELD.TYPE_STRING, FIELD.TYPE_BYTES)


def oneof_of(message, field):
    """The name of the oneof that the field is a member of, or None."""
    if field.HasField("oneof_index") and not field.proto3_optional:
        return message.oneof_decl[field.oneof_index].name
    return None


def type_of(field):
    """The full name of the field's message or enum."""
    return field.type_name[1:]


def ident(full_name):
    return full_name.replace(".", "_")


def snake(name):
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def by_number(message):
    return sorted(message.field, key=lambda field: field.number)


def service_methods(files, service):
    """The methods of the service with this full name, as {name: descriptor}."""
    for file in files:
        for found in file.service:
            if f"{file.package}.{found.name}" == service:
                return {method.name: method for method in found.method}
    raise SystemExit(f"{service}: no file has this service")


def with_inner(messages, roots):
    """The names of these messages and of all that they contain, inner ones first."""
    order = []

    def visit(full, path):
        if full in path:
            raise SystemExit(f"{full}: contains itself, which the hot codec does not know")
        if full in order:
            return
        for field in messages[full].field:
            if field.type == FIELD.TYPE_MESSAGE:
                visit(type_of(field), path + [full])
        order.append(full)

    for root in roots:
        visit(root, [])
    return order
