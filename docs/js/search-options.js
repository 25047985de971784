// The search reads a leading hyphen as "without this word". Readers type options, such as --fail-on: search for all of their words.
{
  const { get, set } = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value");
  const words = (_, start, option) => `${start}"${option.replace(/-+/g, " ").trim()}"`;
  for (const query of document.querySelectorAll("[data-md-component=search-query]"))
    Object.defineProperty(query, "value", {
      get() { return get.call(this).replace(/(^|\s)--([a-z][\w-]*)/g, words); },
      set(value) { set.call(this, value); },
    });
}
