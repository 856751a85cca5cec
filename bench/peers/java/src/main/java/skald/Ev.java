package skald;

/** An event, of a class of its own for each type, as Esper likes them. */
public class Ev {
  public final int type;
  public final String key;
  public final int value;
  public final long at;

  Ev(int type, String key, int value, long at) {
    this.type = type;
    this.key = key;
    this.value = value;
    this.at = at;
  }

  public int getType() {
    return type;
  }

  public String getKey() {
    return key;
  }

  public int getValue() {
    return value;
  }

  public long getAt() {
    return at;
  }

  public static final String[] NAMES = {"A", "B", "C", "D", "N", "X"};

  public static final class A extends Ev {
    A(String key, int value, long at) {
      super(0, key, value, at);
    }
  }

  public static final class B extends Ev {
    B(String key, int value, long at) {
      super(1, key, value, at);
    }
  }

  public static final class C extends Ev {
    C(String key, int value, long at) {
      super(2, key, value, at);
    }
  }

  public static final class D extends Ev {
    D(String key, int value, long at) {
      super(3, key, value, at);
    }
  }

  public static final class N extends Ev {
    N(String key, int value, long at) {
      super(4, key, value, at);
    }
  }

  public static final class X extends Ev {
    X(String key, int value, long at) {
      super(5, key, value, at);
    }
  }

  static Ev of(int type, String key, int value, long at) {
    return switch (type) {
      case 0 -> new A(key, value, at);
      case 1 -> new B(key, value, at);
      case 2 -> new C(key, value, at);
      case 3 -> new D(key, value, at);
      case 4 -> new N(key, value, at);
      default -> new X(key, value, at);
    };
  }
}
