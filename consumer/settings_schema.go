package consumer

// SettingsSchema returns the JSON Schema (2020-12) of Settings in a document, for editors and for checks before a document is
// written. It takes whatever ParseSettings takes. What a schema can't say, ParseSettings refuses besides: keys that are there
// twice, maxWorkers below workers, a timeout that is below 1 ms, and durations beyond 24 h.
func SettingsSchema() []byte { return []byte(settingsSchema) }

const settingsSchema = `{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "title": "Settings of a consumer group",
  "type": "object",
  "properties": {
    "attempts": {
      "description": "How often a message is delivered at most before it goes to the dead-letter topic.",
      "type": "integer", "minimum": 1, "maximum": 10000
    },
    "topics": {
      "description": "Topics by their logical names.",
      "type": "object",
      "additionalProperties": {"$ref": "#/$defs/topic"}
    }
  },
  "$defs": {
    "topic": {
      "type": "object",
      "properties": {
        "workers": {
          "description": "How many messages, or batches, are handled at once.",
          "type": "integer", "minimum": 1, "maximum": 65536
        },
        "maxWorkers": {
          "description": "How many are while messages wait; no less than workers.",
          "type": "integer", "minimum": 1, "maximum": 65536
        },
        "pause": {
          "description": "No handler is called.",
          "type": "boolean"
        },
        "timeout": {
          "description": "How long a handler may take, from 1ms to 24h.",
          "$ref": "#/$defs/duration"
        },
        "rate": {
          "description": "How many messages a second each member handles at most.",
          "type": "number", "exclusiveMinimum": 0, "maximum": 1000000000
        },
        "ramp": {
          "description": "How long it takes to get to the rate after a start, up to 24h.",
          "$ref": "#/$defs/duration"
        }
      }
    },
    "duration": {
      "type": "string",
      "pattern": "^([0-9]+(\\.[0-9]+)?(h|ms|m|s))+$",
      "examples": ["30s", "1m30s", "500ms"]
    }
  }
}
`
