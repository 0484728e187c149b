import java.net.URLDecoder;
import java.net.URLEncoder;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** One command or event: a verb and values, encoded as a URL's query. */
final class Line {
    final String verb;
    private final Map<String, List<String>> values = new LinkedHashMap<>(); // as they are encoded

    Line(String verb) {
        this.verb = verb;
    }

    static Line parse(String text) {
        int space = text.indexOf(' ');
        return parse(space < 0 ? text : text.substring(0, space), space < 0 ? "" : text.substring(space + 1));
    }

    static Line parse(String verb, String query) {
        Line line = new Line(verb);
        for (String pair : query.split("&")) {
            int equals = pair.indexOf('=');
            if (equals >= 0) {
                line.put(URLDecoder.decode(pair.substring(0, equals), StandardCharsets.UTF_8), pair.substring(equals + 1));
            }
        }
        return line;
    }

    private void put(String name, String encoded) {
        values.computeIfAbsent(name, n -> new ArrayList<>()).add(encoded);
    }

    /** Adds a value, unless it is empty. */
    Line with(String name, Object value) {
        if (value != null && !value.toString().isEmpty()) {
            put(name, URLEncoder.encode(value.toString(), StandardCharsets.UTF_8));
        }
        return this;
    }

    /** Adds bytes: this encoding turns each char of ISO 8859-1 into the byte it is. */
    Line with(String name, byte[] value) {
        put(name, URLEncoder.encode(new String(value, StandardCharsets.ISO_8859_1), StandardCharsets.ISO_8859_1));
        return this;
    }

    Iterable<String> names() {
        return values.keySet();
    }

    List<String> all(String name) {
        List<String> decoded = new ArrayList<>();
        for (String value : values.getOrDefault(name, List.of())) {
            decoded.add(URLDecoder.decode(value, StandardCharsets.UTF_8));
        }
        return decoded;
    }

    String get(String name) {
        return get(name, StandardCharsets.UTF_8);
    }

    byte[] bytes(String name) {
        return get(name, StandardCharsets.ISO_8859_1).getBytes(StandardCharsets.ISO_8859_1);
    }

    long number(String name) {
        return get(name).isEmpty() ? 0 : Long.parseLong(get(name));
    }

    private String get(String name, Charset charset) {
        List<String> some = values.get(name);
        return some == null ? "" : URLDecoder.decode(some.get(0), charset);
    }

    @Override
    public String toString() {
        StringBuilder text = new StringBuilder(verb);
        char separator = ' ';
        for (Map.Entry<String, List<String>> entry : values.entrySet()) {
            for (String value : entry.getValue()) {
                text.append(separator).append(URLEncoder.encode(entry.getKey(), StandardCharsets.UTF_8)).append('=').append(value);
                separator = '&';
            }
        }
        return text.toString();
    }
}
