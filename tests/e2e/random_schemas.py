"""Random JSON schemas, small enough that a small model ends what it writes."""
import random

NAMES = ["name", "age", "city", "tags", "score", "kind", "née", "x y", "size", "note"]


def string(rng):
    choice = rng.randrange(5)
    if choice == 0:
        return {"type": "string", "format": rng.choice(["date", "uuid", "ipv4", "email", "time", "date-time"])}
    if choice == 1:
        return {"type": "string", "pattern": rng.choice(["^[A-Z]{2}-\\d{1,3}$", "^(red|green|\"blue\")$", "^[a-f0-9]{4}$"])}
    least = rng.randrange(4)
    return {"type": "string", "minLength": least, "maxLength": least + rng.randrange(1, 12)}


def number(rng):
    schema = {"type": rng.choice(["integer", "number"])}
    least = rng.choice([-100, -1, 0, 0.5, 7, 1000])
    schema[rng.choice(["minimum", "exclusiveMinimum"])] = least
    schema[rng.choice(["maximum", "exclusiveMaximum"])] = least + rng.choice([2, 10, 12345])
    return schema


def schema_of(rng, depth):
    kinds = [string, number, lambda _: {"type": "boolean"}, lambda _: {"type": ["null", "boolean"]},
             lambda r: {"enum": r.sample(["a", "bé", 3, None, True, 1.5, [1, "x"], {"k": []}], 3)},
             lambda _: {"const": "fixed \"text\""}]
    if depth > 0:
        kinds += [object_of, object_of, object_of, array_of, either]
    made = rng.choice(kinds)
    return made(rng, depth) if made in (object_of, array_of, either) else made(rng)


def object_of(rng, depth):
    names = rng.sample(NAMES, rng.randrange(1, 4))
    schema = {"type": "object", "properties": {name: schema_of(rng, depth - 1) for name in names},
              "required": [name for name in names if rng.random() < 0.7]}
    if rng.random() < 0.7:
        schema["additionalProperties"] = False
    return schema


def array_of(rng, depth):
    least = rng.randrange(3)
    schema = {"type": "array", "minItems": least, "maxItems": least + rng.randrange(1, 3), "items": schema_of(rng, depth - 1)}
    if rng.random() < 0.3:
        schema["prefixItems"] = [schema_of(rng, depth - 1)]
    return schema


def either(rng, depth):
    return {"anyOf": [schema_of(rng, depth - 1), schema_of(rng, depth - 1)]}


def random_schemas(n, seed):
    """Some refer to a definition that refers to itself."""
    rng = random.Random(seed)
    schemas = []
    for i in range(n):
        schema = object_of(rng, 2)
        if i % 8 == 0:
            schema["$defs"] = {"node": {"type": "object", "required": ["value"], "additionalProperties": False,
                                        "properties": {"value": {"type": "integer", "minimum": 0, "maximum": 99},
                                                       "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}}}}
            schema["properties"]["list"] = {"$ref": "#/$defs/node"}
        schemas.append(schema)
    return schemas
